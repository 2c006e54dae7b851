#!lua
-- Sets fields of one hash, unless the first of them is there: then all must be as given. KEYS: the hash.
-- ARGV: names and values; an empty value: not there. Answers 1, or 0 where something is there with another value.
local known = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1
local new = {}
for i = 1, #ARGV, 2 do
  local there, value = redis.call('HGET', KEYS[1], ARGV[i]) or '', ARGV[i + 1]
  if there ~= value and (known or there ~= '') then return 0 end
  if value ~= '' then
    new[#new + 1] = ARGV[i]
    new[#new + 1] = value
  end
end
if not known then redis.call('HSET', KEYS[1], unpack(new)) end
return 1
