#!lua
-- Entries of a shard's logs without a saga, all or nothing. KEYS: lease; then each entry's log.
-- ARGV: epoch, nonce; per entry its number and its value.
-- Answers a code and what goes with it: {0 or 1, the commit number} where they were written now or before, {2, 0} behind the
-- fence, {3 + i, next} where entry i, counted from 0, doesn't come next.
local call = redis.call
local found = call('HMGET', KEYS[1], 'epoch', 'nonce', 'commits')
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] then return { 2, 0 } end
local repeated, stale, next, fields = true, nil, {}, {}
for i = 2, #KEYS do
  local key, number, value = KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]
  if not next[key] then next[key], fields[key] = tonumber(call('HGET', key, 'next') or '0'), {} end
  if call('HGET', key, number) ~= value then repeated = false end
  if not stale and tonumber(number) ~= next[key] then stale = { 1 + i, next[key] } end
  next[key] = next[key] + 1
  local n = #fields[key]
  fields[key][n + 1], fields[key][n + 2] = number, value
end
if repeated then
  -- Writes too, so that a wait for replicas behind it covers the first copy.
  call('HINCRBY', KEYS[1], 'duplicates', 1)
  return { 1, found[3] or '0' }
end
if stale then return stale end
for key, of in pairs(fields) do
  for i = 1, #of, 2 do call('HSET', key, of[i], of[i + 1]) end
  call('HSET', key, 'next', string.format('%.0f', next[key]))
end
return { 0, call('HINCRBY', KEYS[1], 'commits', 1) }
