#!lua
-- Gives a shard back. KEYS: lease. ARGV: epoch, nonce. Without a nonce nobody's commit passes any more.
local found = redis.call('HMGET', KEYS[1], 'epoch', 'nonce')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[1], 'nonce')
return 1
