#!lua
-- Puts a document of another store, with its revision. KEYS: documents, ids of the kind, documents of the kind.
-- ARGV: kind, id, revision, body. Answers 1, or 0 where it is there otherwise.
local there, value = redis.call('HGET', KEYS[3], ARGV[2]), ARGV[3] .. ':' .. ARGV[4]
if there and there ~= value then return 0 end
if not there then redis.call('HINCRBY', KEYS[1], 'kind:' .. ARGV[1], 1) end
if (tonumber(redis.call('HGET', KEYS[1], 'revision') or '0')) < tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'revision', ARGV[3])
end
redis.call('ZADD', KEYS[2], 0, ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], value)
return 1
