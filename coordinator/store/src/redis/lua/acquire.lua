#!lua
-- Takes a shard. KEYS: lease. ARGV: store id, node, nonce, for how many ms.
-- Answers {0, epoch, commits}, {1, node, until} where it is held, {2} where the shard isn't this store's, {3, how it stands}
-- where the store is closed.
local found = redis.call('HMGET', KEYS[1], 'store', 'epoch', 'nonce', 'node', 'until', 'commits', 'closed')
if found[1] ~= ARGV[1] then return { 2, found[1] or '' } end
if found[7] then return { 3, found[7] } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Without a nonce it was given back, or never had.
if found[3] and found[4] ~= ARGV[2] and tonumber(found[5]) > now then return { 1, found[4], found[5] } end
-- Numbers are written out whole: Lua would round them.
local epoch = string.format('%.0f', math.max((tonumber(found[2]) or 0) + 1, now))
redis.call('HSET', KEYS[1], 'epoch', epoch, 'nonce', ARGV[3], 'node', ARGV[2], 'until',
  string.format('%.0f', now + ARGV[4]))
return { 0, epoch, found[6] or '0' }
