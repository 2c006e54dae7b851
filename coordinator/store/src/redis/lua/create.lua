#!lua
-- Makes the store's meta key, unless there is one. KEYS: meta. ARGV: id, format, shards, created at (ms).
-- Answers what is there then: id, format, shards, seeded.
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'format', ARGV[2], 'shards', ARGV[3], 'created_at', ARGV[4], 'seeded', '0')
end
return redis.call('HMGET', KEYS[1], 'id', 'format', 'shards', 'seeded')
