#!lua
-- Registers a definition. KEYS: the definition, the names. ARGV: digest, `<ns>,<name>`, record.
-- Answers the version, its record, and its deprecation where it has one: the same content has the version it had already.
local same = redis.call('HGET', KEYS[1], 'digest:' .. ARGV[1])
if same then
  local found = redis.call('HMGET', KEYS[1], 'version:' .. same, 'deprecation:' .. same)
  return { same, found[1], found[2] }
end
local version = string.format('%d', redis.call('HINCRBY', KEYS[1], 'latest', 1))
redis.call('HSET', KEYS[1], 'version:' .. version, ARGV[3], 'digest:' .. ARGV[1], version)
redis.call('ZADD', KEYS[2], 0, ARGV[2])
return { version, ARGV[3], false }
