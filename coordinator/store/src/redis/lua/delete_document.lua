#!lua
-- Removes a document, compared. KEYS: documents, ids of the kind, documents of the kind.
-- ARGV: kind, id, expected revision (empty: any; 0: not there).
-- Answers {1, whether there was one}, or {0, found} where it is at another revision.
local there = redis.call('HGET', KEYS[3], ARGV[2])
local found = there and tonumber(string.match(there, '^(%d+):')) or 0
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= found then return { 0, found } end
if not there then return { 1, 0 } end
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[2])
if redis.call('HINCRBY', KEYS[1], 'kind:' .. ARGV[1], -1) == 0 then redis.call('HDEL', KEYS[1], 'kind:' .. ARGV[1]) end
return { 1, 1 }
