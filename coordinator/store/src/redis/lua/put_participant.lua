#!lua
-- Registers a participant, compared and set. KEYS: participants. ARGV: `<ns>,<name>`, expected revision (empty: any), record.
-- Answers {1, new revision}, or {0, found} where it is at another revision.
local there = redis.call('HGET', KEYS[1], ARGV[1])
local found = there and tonumber(string.match(there, '^(%d+):')) or 0
if ARGV[2] ~= '' and tonumber(ARGV[2]) ~= found then return { 0, found } end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', found + 1) .. ':' .. ARGV[3])
return { 1, found + 1 }
