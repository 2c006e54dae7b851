#!lua
-- Makes or changes a document, compared and set. KEYS: documents, ids of the kind, documents of the kind.
-- ARGV: kind, id, expected revision (empty: any; 0: not there), body.
-- Answers {1, new revision}, or {0, found} where it is at another revision.
local there = redis.call('HGET', KEYS[3], ARGV[2])
local found = there and tonumber(string.match(there, '^(%d+):')) or 0
if ARGV[3] ~= '' and tonumber(ARGV[3]) ~= found then return { 0, found } end
local revision = redis.call('HINCRBY', KEYS[1], 'revision', 1)
if not there then redis.call('HINCRBY', KEYS[1], 'kind:' .. ARGV[1], 1) end
redis.call('ZADD', KEYS[2], 0, ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], string.format('%.0f', revision) .. ':' .. ARGV[4])
return { 1, revision }
