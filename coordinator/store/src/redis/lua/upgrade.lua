#!lua
-- Gives a shard of format 1 what it lacks: its logs. KEYS: lease, then the logs. ARGV: store id.
-- Answers whose the shard is; of another store's, or one that was wiped, nothing is changed.
local store = redis.call('HGET', KEYS[1], 'store') or ''
if store ~= ARGV[1] then return store end
for i = 2, #KEYS do
  redis.call('HSETNX', KEYS[i], 'first', '1')
  redis.call('HSETNX', KEYS[i], 'next', '1')
end
return store
