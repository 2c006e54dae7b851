#!lua
-- Gives a shard of an older format what it lacks: its logs (format 2), and the open sagas in its index (format 3).
-- KEYS: lease, index, counts, then the logs. ARGV: store id.
-- Answers whose the shard is; of another store's, or one that was wiped, nothing is changed. Doing it twice changes nothing more.
local index, FIRST_LOG, TOGETHER = KEYS[2], 4, 1000
local store = redis.call('HGET', KEYS[1], 'store') or ''
if store ~= ARGV[1] then return store end
for i = FIRST_LOG, #KEYS do
  redis.call('HSETNX', KEYS[i], 'first', '1')
  redis.call('HSETNX', KEYS[i], 'next', '1')
end

-- Adds the open sagas that stand in one cell.
local function add_open(cell)
  local prefix, ns = 'c,' .. cell .. ',', string.match(cell, '^[^,]*')
  local min, max = '[' .. prefix, '(c,' .. cell .. '-'
  while true do
    local members = redis.call('ZRANGE', index, min, max, 'BYLEX', 'LIMIT', 0, TOGETHER)
    if #members == 0 then return end
    local add = {}
    for i, member in ipairs(members) do
      add[2 * i - 1], add[2 * i] = '0', 'o,' .. ns .. ',' .. string.sub(member, #prefix + 1)
    end
    redis.call('ZADD', index, unpack(add))
    min = '(' .. members[#members]
  end
end
for _, cell in ipairs(redis.call('HKEYS', KEYS[3])) do
  if string.sub(cell, -2) == ',1' then add_open(cell) end
end
return store
