#!lua
-- Marks a version as deprecated, or takes the mark away. KEYS: the definition. ARGV: version, deprecation (empty: none).
-- Answers the version's record, or nothing where there is no such version.
local record = redis.call('HGET', KEYS[1], 'version:' .. ARGV[1])
if not record then return false end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], 'deprecation:' .. ARGV[1])
else
  redis.call('HSET', KEYS[1], 'deprecation:' .. ARGV[1], ARGV[2])
end
return record
