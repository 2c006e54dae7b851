#!lua
-- Commits of many sagas under many leases: a fenced compare-and-set each.
-- KEYS: per lane (a lease) its shard's six keys; then one saga per commit, none twice; then logs of those shards.
-- ARGV: lanes, commits, 1 where new sagas are refused, log entries; per log entry its commit and its log (both counted from 1),
-- its number and its value; per lane epoch and nonce; per commit what `judge` reads.
-- Answers two values per commit: a code and what goes with it.
-- Everything is read and judged before the first write, and no write can fail: keys have fixed types, numbers are our own.
-- What many commits change in one key is written by one command: calls are what this costs.
local OK, DUPLICATE, FENCED, STALE, RESERVED, OVERWRITE, FULL, STALE_LOG = 0, 1, 2, 3, 4, 5, 6, 7
local LANE_KEYS, COMMIT_ARGS, OP, REMEMBERED = 6, 14, 32, 4
local CHUNK = 1000 -- Lua's stack holds a few thousand values; even, so that pairs stay together
local call, sub = redis.call, string.sub
local lanes, commits, tight = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] == '1'
local at = 5 + 4 * tonumber(ARGV[4])

local lane = {}
for i = 1, lanes do
  local k = (i - 1) * LANE_KEYS
  local found = call('HMGET', KEYS[k + 1], 'epoch', 'nonce', 'commits')
  local epoch, nonce = ARGV[at], ARGV[at + 1]
  lane[i] = {
    lease = KEYS[k + 1], reserved = KEYS[k + 6],
    owned = found[1] == epoch and found[2] == nonce,
    number = tonumber(found[3]) or 0, accepted = 0, repeated = 0,
    -- What is to be added to which key, and removed: members with their score, and members.
    due = { key = KEYS[k + 2], add = {}, remove = {} },
    ended = { key = KEYS[k + 3], add = {}, remove = {} },
    index = { key = KEYS[k + 4], add = {}, remove = {} },
    counts = KEYS[k + 5], moved = {},
  }
  at = at + 2
end

local function remembers(ops, op)
  for i = 1, #ops, OP do
    if sub(ops, i, i + OP - 1) == op then return true end
  end
  return false
end

-- The fixed fields of a saga, then those that are written once.
local function read(key, first, once)
  local fields = { 'rev', 'ops', 'due', 'cell', 'keep', 'at' }
  for j = 0, once - 1 do fields[7 + j] = ARGV[first + 2 * j] end
  if #fields <= CHUNK then return call('HMGET', key, unpack(fields)) end
  local found = {}
  for from = 1, #fields, CHUNK do
    local some = call('HMGET', key, unpack(fields, from, math.min(from + CHUNK - 1, #fields)))
    for j = 1, #some do found[from + j - 1] = some[j] end
  end
  return found
end

-- Scores are texts: a number would be written out, and read again by the command.
local function add(list, member, score)
  local n = #list.add
  list.add[n + 1], list.add[n + 2] = score or '0', member
end

local function remove(list, member) list.remove[#list.remove + 1] = member end

-- Where a saga stands in an index; absent where it doesn't.
local function move(list, from, to)
  if from == to then return end
  if to then add(list, to) end
  if from then remove(list, from) end
end

local function is_open(cell) return sub(cell, -1) == '1' end

-- What an accepted commit changes in its shard's keys.
local function plan(l, found, ns, id, due, cell, keep, started, labels)
  local member, was, at = ns .. ',' .. id, found[4], found[6] or started
  local open, was_open = is_open(cell), was and is_open(was)
  local was_due = was_open and found[3] ~= '' and found[3]
  if open and due ~= '' then
    if due ~= was_due then add(l.due, member, due) end
  elseif was_due then
    remove(l.due, member)
  end
  move(l.ended, was and not was_open and found[5] ~= '' and found[5] .. ',' .. member,
    not open and keep ~= '' and keep .. ',' .. member)
  if was == cell then return end
  local place = ',' .. at .. ',' .. id
  local among_open = 'o,' .. ns .. place
  move(l.index, was_open and among_open, open and among_open)
  if not was then
    add(l.index, 's,' .. ns .. place)
    for label in string.gmatch(labels, '%x+') do add(l.index, 'l,' .. ns .. ',' .. label .. place) end
  end
  move(l.index, was and 'c,' .. was .. place, 'c,' .. cell .. place)
  l.moved[cell] = (l.moved[cell] or 0) + 1
  if was then l.moved[was] = (l.moved[was] or 0) - 1 end
end

-- New entries by commit; and by key what is known of a log, and the fields to be set in it.
local entries, logs = {}, {}
for i = 5, 1 + 4 * tonumber(ARGV[4]), 4 do
  local commit, key = tonumber(ARGV[i]), KEYS[lanes * LANE_KEYS + commits + tonumber(ARGV[i + 1])]
  entries[commit] = entries[commit] or {}
  table.insert(entries[commit], { key = key, number = ARGV[i + 2], value = ARGV[i + 3] })
  logs[key] = logs[key] or { next = tonumber(call('HGET', key, 'next') or '0'), fields = {} }
end

-- Which entry of a commit doesn't come next, and what would; nothing where all do.
local function misfit(mine)
  local ahead = {}
  for j, entry in ipairs(mine) do
    local next = ahead[entry.key] or logs[entry.key].next
    if tonumber(entry.number) ~= next then return j, next end
    ahead[entry.key] = next + 1
  end
end

local function append(mine)
  for _, entry in ipairs(mine) do
    local log = logs[entry.key]
    local n = #log.fields
    log.fields[n + 1], log.fields[n + 2], log.next = entry.number, entry.value, log.next + 1
  end
end

-- A code with its value; for an accepted commit also the fields of its saga to be set.
local function judge(key, mine)
  local l, ns, id, expected, next, op = lane[tonumber(ARGV[at])], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4],
    ARGV[at + 5]
  local digest, state, due, cell, keep = ARGV[at + 6], ARGV[at + 7], ARGV[at + 8], ARGV[at + 9], ARGV[at + 10]
  local started, labels, once = ARGV[at + 11], ARGV[at + 12], tonumber(ARGV[at + 13])
  local first = at + COMMIT_ARGS
  at = first + 2 * once
  if not l.owned then return FENCED, 0 end
  local found = read(key, first, once)
  if found[2] and remembers(found[2], op) then
    l.repeated = l.repeated + 1
    return DUPLICATE, l.number + l.accepted
  end
  local is = found[1] or '0'
  if is ~= expected then return STALE, is end
  if not found[1] and call('SISMEMBER', l.reserved, digest) == 1 then return RESERVED, 0 end
  if not found[1] and tight then return FULL, 0 end
  if mine then
    local j, next = misfit(mine)
    if j then return STALE_LOG + j - 1, next end
  end
  local fields = {
    'rev', next, 'ops', sub((found[2] or '') .. op, -OP * REMEMBERED), 'state', state, 'due', due, 'cell', cell, 'keep', keep,
  }
  local n, new = #fields, {}
  for j = 0, once - 1 do
    local field, value = ARGV[first + 2 * j], ARGV[first + 2 * j + 1]
    local there = found[7 + j] or new[field]
    if not there then
      new[field] = value
      fields[n + 1], fields[n + 2] = field, value
      n = n + 2
    elseif there ~= value then
      return OVERWRITE, j
    end
  end
  if not found[1] then
    fields[n + 1], fields[n + 2], fields[n + 3], fields[n + 4] = 'at', started, 'labels', labels
  end
  plan(l, found, ns, id, due, cell, keep, started, labels)
  if mine then append(mine) end
  l.accepted = l.accepted + 1
  return OK, l.number + l.accepted, fields
end

local answers, writes = {}, {}
for i = 1, commits do
  local code, value, fields = judge(KEYS[lanes * LANE_KEYS + i], entries[i])
  answers[2 * i - 1], answers[2 * i], writes[i] = code, value, fields or false
end

local function in_chunks(command, key, values)
  for from = 1, #values, CHUNK do
    call(command, key, unpack(values, from, math.min(from + CHUNK - 1, #values)))
  end
end

-- The new places are added before the old ones go, so that no key is ever empty in between.
local function change(list)
  in_chunks('ZADD', list.key, list.add)
  in_chunks('ZREM', list.key, list.remove)
end

for i = 1, lanes do
  local l = lane[i]
  if l.accepted > 0 then call('HINCRBY', l.lease, 'commits', l.accepted) end
  -- A repeat writes too, so that a wait for replicas behind it covers the first copy.
  if l.repeated > 0 then call('HINCRBY', l.lease, 'duplicates', l.repeated) end
end
for i = 1, commits do
  if writes[i] then in_chunks('HSET', KEYS[lanes * LANE_KEYS + i], writes[i]) end
end
for key, log in pairs(logs) do
  local n = #log.fields
  if n > 0 then
    log.fields[n + 1], log.fields[n + 2] = 'next', string.format('%.0f', log.next)
    in_chunks('HSET', key, log.fields)
  end
end
for i = 1, lanes do
  local l = lane[i]
  change(l.due)
  change(l.ended)
  change(l.index)
  for cell, by in pairs(l.moved) do
    if by ~= 0 and call('HINCRBY', l.counts, cell, by) == 0 then call('HDEL', l.counts, cell) end
  end
end
return answers
