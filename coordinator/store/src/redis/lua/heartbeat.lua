#!lua
-- Notes that a node was heard. KEYS: nodes. ARGV: name, record. The time is the store's.
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], ARGV[1],
  string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)) .. ':' .. ARGV[2])
return 1
