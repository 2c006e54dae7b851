#!lua flags=no-writes
-- A shard's part of a list: from all its cells that pass the filter, at one moment, so that no saga is between two of them.
-- KEYS: index, counts. ARGV: how many members are wanted; what cells are asked for: namespace, definition, version, status
-- (separated and ended by commas), stuck (`*`: any), held up at, 1 where acknowledged ones are left out, 1 where only open ones
-- count (each empty: any); a label (empty: none) and below how many sagas the cells are walked all the same; 1 where all may be
-- walked if a quarter pass; then the place above all that is wanted: time (empty: from the top), namespace, id.
-- Answers how many members of each source were read at most, and a list per source: what its members begin with, then the members
-- from the top down. Nothing is compared by `<`: that would be by the server's language.
local index, counts = KEYS[1], KEYS[2]
local many, ns, definition, version, statuses, stuck, held, unacknowledged, open, label, few, loose, at, at_ns, at_id =
  unpack(ARGV)

local function is_below(a, b)
  for i = 1, #a do
    local x, y = string.byte(a, i), string.byte(b, i)
    if not y then return false end
    if x ~= y then return x < y end
  end
  return true
end

local cells, tenants, tenant, sagas, opened, total, every = {}, {}, {}, 0, 0, 0, true
local placed = stuck ~= '' or held ~= '' or unacknowledged ~= ''
local all = redis.call('HGETALL', counts)
for i = 1, #all, 2 do
  local text = all[i]
  local its_ns, its_definition, its_version, status, place, is_open =
    string.match(text, '^([^,]*),([^,]*),([^,]*),([^,]*),([^,]*),([01])$')
  if its_ns and (ns == '' or its_ns == ns) then
    local count = tonumber(all[i + 1])
    total, opened = total + count, opened + (is_open == '1' and count or 0)
    local its_stuck, its_held, ack
    if placed then its_stuck, its_held, ack = string.match(place .. '::', '^([^:]*):([^:]*):([^:]*)') end
    if (definition == '' or its_definition == definition) and (version == '' or its_version == version)
      and (statuses == '' or string.find(statuses, ',' .. status .. ',', 1, true))
      and (stuck == '' or its_stuck == stuck or stuck == '*' and its_stuck ~= '')
      and (held == '' or its_held == held) and (unacknowledged == '' or ack ~= 'a') and (open == '' or is_open == '1') then
      cells[#cells + 1] = { ns = its_ns, what = 'c,' .. text }
      sagas = sagas + count
      if not tenant[its_ns] then
        tenant[its_ns], tenants[#tenants + 1] = true, its_ns
      end
    else
      every = false
    end
  end
end

local sources = cells
local by_label = label ~= '' and sagas >= tonumber(few)
-- Where each saga is looked at anyway, one walk over the open ones is cheaper than one per cell, unless few of them pass.
local by_open = open == '1' and not by_label and sagas * 4 >= opened
if loose == '1' and sagas * 4 >= total then every = true end
if by_label or by_open or every then
  sources = {}
  local before = by_label and 'l,' or by_open and 'o,' or 's,'
  for _, its_ns in ipairs(tenants) do
    sources[#sources + 1] = { ns = its_ns, what = before .. its_ns .. (by_label and ',' .. label or '') }
  end
end

-- Of many cells that are about alike, few members of each give many altogether (that no cell has all of its own among the first n
-- is the birthday problem: n grows with the cells). A cell that has most of them is read again.
local each = math.max(2, math.ceil(many / math.sqrt(#sources)))
if #sources <= 1 then each = tonumber(many) end
local answer = {}
for i, source in ipairs(sources) do
  local prefix = source.what .. ','
  -- The hyphen follows the comma: all that begins so is below it.
  local max = '(' .. source.what .. '-'
  if at ~= '' then
    if source.ns == at_ns then
      max = '(' .. prefix .. at .. ',' .. at_id
    else
      max = '(' .. prefix .. at .. (is_below(source.ns, at_ns) and '-' or ',')
    end
  end
  local members = redis.call('ZRANGE', index, max, '[' .. prefix, 'BYLEX', 'REV', 'LIMIT', 0, each)
  table.insert(members, 1, prefix)
  answer[i] = members
end
return { each, answer }
