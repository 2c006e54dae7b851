#!lua
-- Makes a shard's own keys, so that none of them is ever missing. KEYS: the shard's six, then its logs. ARGV: store id.
-- Answers whose the shard is then.
redis.call('HSETNX', KEYS[1], 'store', ARGV[1])
redis.call('HSETNX', KEYS[1], 'commits', '0')
redis.call('ZADD', KEYS[2], '+inf', '~')
for i = 3, 4 do redis.call('ZADD', KEYS[i], 0, '~') end
redis.call('HSET', KEYS[5], '~', '0')
redis.call('SADD', KEYS[6], '~')
for i = 7, #KEYS do
  redis.call('HSETNX', KEYS[i], 'first', '1')
  redis.call('HSETNX', KEYS[i], 'next', '1')
end
return redis.call('HGET', KEYS[1], 'store')
