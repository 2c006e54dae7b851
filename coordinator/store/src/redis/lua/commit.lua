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
local FIXED = 6 -- how many fields each saga has that aren't written once
local CHUNK = 1000 -- Lua's stack holds a few thousand values; even, so that pairs stay together
local call, find, sub = redis.call, string.find, string.sub
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
    due = KEYS[k + 2], ended = KEYS[k + 3], index = KEYS[k + 4], counts = KEYS[k + 5],
  }
  at = at + 2
end

-- Found in between two is not found.
local function remembers(ops, op)
  local i = find(ops, op, 1, true)
  while i and (i - 1) % OP ~= 0 do i = find(ops, op, i + 1, true) end
  return i ~= nil
end

-- The fixed fields of a saga, then those that are written once.
local function read(key, first, once)
  local last = first + once - 1
  local found = call('HMGET', key, 'rev', 'ops', 'due', 'cell', 'keep', 'at', unpack(ARGV, first, math.min(last, first + CHUNK - 1)))
  for from = first + CHUNK, last, CHUNK do
    local some = call('HMGET', key, unpack(ARGV, from, math.min(from + CHUNK - 1, last)))
    for j = 1, #some do found[FIXED + from - first + j] = some[j] end
  end
  return found
end

-- By key what is to be added to it, members with their score, and removed; and by key and cell how many sagas more it has.
local added, removed, moved = {}, {}, {}

local function of(lists, key)
  local list = lists[key]
  if not list then
    list = {}
    lists[key] = list
  end
  return list
end

-- Scores are texts: a number would be written out, and read again by the command.
local function add(key, member, score)
  local list = of(added, key)
  local n = #list
  list[n + 1], list[n + 2] = score or '0', member
end

local function remove(key, member)
  local list = of(removed, key)
  list[#list + 1] = member
end

-- Where a saga stands in an index; absent where it doesn't.
local function move(key, from, to)
  if from == to then return end
  if to then add(key, to) end
  if from then remove(key, from) end
end

local function is_open(cell) return sub(cell, -1) == '1' end

-- What an accepted commit changes in its shard's keys.
local function plan(l, found, ns, id, due, cell, keep, started, labels)
  local was = found[4]
  if was == cell and found[3] == due and found[5] == keep then return end
  local member, at = ns .. ',' .. id, found[6] or started
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
  local counts = of(moved, l.counts)
  counts[cell] = (counts[cell] or 0) + 1
  if was then counts[was] = (counts[was] or 0) - 1 end
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

-- A field of a saga, where it is another than before; how long the list is then.
local function set(fields, n, was, field, value)
  if was == value then return n end
  fields[n + 1], fields[n + 2] = field, value
  return n + 2
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
  local fields = { 'rev', next, 'ops', sub((found[2] or '') .. op, -OP * REMEMBERED), 'state', state }
  -- Most commits change none of these.
  local n = set(fields, 6, found[3], 'due', due)
  n = set(fields, n, found[4], 'cell', cell)
  n = set(fields, n, found[5], 'keep', keep)
  local new = {}
  for j = 1, once do
    local field, value = ARGV[first + j - 1], ARGV[first + once + j - 1]
    local there = found[FIXED + j] or new[field]
    if not there then
      new[field] = value
      fields[n + 1], fields[n + 2] = field, value
      n = n + 2
    elseif there ~= value then
      return OVERWRITE, j - 1
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
-- The new places come before the old ones go, so that no key is ever empty in between.
for key, list in pairs(added) do in_chunks('ZADD', key, list) end
for key, list in pairs(removed) do in_chunks('ZREM', key, list) end
for key, counts in pairs(moved) do
  for cell, by in pairs(counts) do
    if by ~= 0 and call('HINCRBY', key, cell, by) == 0 then call('HDEL', key, cell) end
  end
end
return answers
