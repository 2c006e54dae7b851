#!lua
-- Makes a lease valid for longer. KEYS: lease, and nothing else, so that it works while a slot moves.
-- ARGV: epoch, nonce, for how many ms. Answers 1, or 0 where somebody else has the shard.
local found = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[3]))
return 1
