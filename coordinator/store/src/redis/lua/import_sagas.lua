#!lua
-- Puts sagas of another store into a shard that is being filled, each as it was there.
-- KEYS: lease, due, ended, index, counts; then the sagas.
-- ARGV: how the shard must stand; per saga namespace, id, how many fields, and their names and values.
-- Answers {0, how many weren't there}, {1, how it stands} where it isn't being filled under this, {2, i} where saga i is
-- there with other content. All is judged before the first write.
local SHARD_KEYS, CHUNK = 5, 1000
local closed = redis.call('HGET', KEYS[1], 'closed') or ''
if closed ~= ARGV[1] then return { 1, closed } end

local function take(key, at)
  local s = { key = key, ns = ARGV[at], id = ARGV[at + 1], count = tonumber(ARGV[at + 2]), first = at + 3, fields = {} }
  s.next = s.first + 2 * s.count
  for i = s.first, s.next - 1, 2 do s.fields[ARGV[i]] = ARGV[i + 1] end
  return s
end

local function is_same(s)
  if redis.call('HLEN', s.key) ~= s.count then return false end
  local there = redis.call('HGETALL', s.key)
  for i = 1, #there, 2 do
    if s.fields[there[i]] ~= there[i + 1] then return false end
  end
  return true
end

local function write(s)
  for from = s.first, s.next - 1, CHUNK do
    redis.call('HSET', s.key, unpack(ARGV, from, math.min(from + CHUNK - 1, s.next - 1)))
  end
  local f, member, place = s.fields, s.ns .. ',' .. s.id, ',' .. s.fields.at .. ',' .. s.id
  local open = string.sub(f.cell, -1) == '1'
  if open and f.due ~= '' then redis.call('ZADD', KEYS[2], f.due, member) end
  if not open and f.keep ~= '' then redis.call('ZADD', KEYS[3], 0, f.keep .. ',' .. member) end
  redis.call('ZADD', KEYS[4], 0, 's,' .. s.ns .. place, 0, 'c,' .. f.cell .. place)
  if open then redis.call('ZADD', KEYS[4], 0, 'o,' .. s.ns .. place) end
  for label in string.gmatch(f.labels, '%x+') do
    redis.call('ZADD', KEYS[4], 0, 'l,' .. s.ns .. ',' .. label .. place)
  end
  redis.call('HINCRBY', KEYS[5], f.cell, 1)
end

local new, at = {}, 2
for i = SHARD_KEYS + 1, #KEYS do
  local s = take(KEYS[i], at)
  at = s.next
  if redis.call('EXISTS', s.key) == 0 then
    new[#new + 1] = s
  elseif not is_same(s) then
    return { 2, i - SHARD_KEYS - 1 }
  end
end
for _, s in ipairs(new) do write(s) end
return { 0, #new }
