#!lua
-- Removes entries of a log below a number, some at a time. KEYS: lease, log. ARGV: epoch, nonce, below.
-- Answers 0 behind the fence, 1 when that is done, 2 where there is more to be removed.
local STEP = 1000 -- Redis does nothing else meanwhile
local found = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return 0 end
local span = redis.call('HMGET', KEYS[2], 'first', 'next')
local first, to = tonumber(span[1] or '0'), math.min(tonumber(ARGV[3]), tonumber(span[2] or '0'))
local stop = math.min(to, first + STEP)
if stop <= first then return 1 end
local gone = {}
for number = first, stop - 1 do gone[#gone + 1] = string.format('%.0f', number) end
redis.call('HSET', KEYS[2], 'first', string.format('%.0f', stop))
redis.call('HDEL', KEYS[2], unpack(gone))
return stop < to and 2 or 1
