#!lua
-- Puts entries of another store's log into a shard that is being filled, and says which numbers the log has.
-- KEYS: lease, log. ARGV: how the shard must stand, first, next; per entry its number and its value.
-- Answers {0, 0}, {1, 0} where it isn't being filled under this, {2, 0} where the log has other numbers, {3, number} where
-- that entry is there with other content. All is judged before the first write.
local call = redis.call
if (call('HGET', KEYS[1], 'closed') or '') ~= ARGV[1] then return { 1, 0 } end
local span = call('HMGET', KEYS[2], 'first', 'next')
local is_new = span[1] == '1' and span[2] == '1'
if not is_new and (span[1] ~= ARGV[2] or span[2] ~= ARGV[3]) then return { 2, 0 } end
for i = 4, #ARGV, 2 do
  local there = call('HGET', KEYS[2], ARGV[i])
  if there and there ~= ARGV[i + 1] then return { 3, tonumber(ARGV[i]) } end
end
for i = 4, #ARGV, 2 do call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
call('HSET', KEYS[2], 'first', ARGV[2], 'next', ARGV[3])
return { 0, 0 }
