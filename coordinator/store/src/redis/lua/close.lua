#!lua
-- Closes a shard or opens it, compared and set; ends its tenure. KEYS: the shard's six.
-- ARGV: store id, from, to (empty: open), epoch below which the next ones may not be, 1 where it must be empty.
-- Answers {0}, {1, node, until} where it is held, {2, whose} where it isn't this store's, {3, how it stands}, {4} where
-- something is in it.
local found = redis.call('HMGET', KEYS[1], 'store', 'closed', 'nonce', 'node', 'until', 'epoch')
if found[1] ~= ARGV[1] then return { 2, found[1] or '' } end
local closed = found[2] or ''
if closed == ARGV[3] then return { 0 } end
if closed ~= ARGV[2] then return { 3, closed } end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if found[3] and tonumber(found[5]) > now then return { 1, found[4], found[5] } end
if ARGV[5] == '1' then
  -- Each has the member that never goes.
  local things = redis.call('ZCARD', KEYS[2]) + redis.call('ZCARD', KEYS[3]) + redis.call('ZCARD', KEYS[4])
    + redis.call('SCARD', KEYS[6])
  if things > 4 then return { 4 } end
end
redis.call('HDEL', KEYS[1], 'nonce')
if (tonumber(found[6]) or 0) < tonumber(ARGV[4]) then redis.call('HSET', KEYS[1], 'epoch', ARGV[4]) end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'closed')
else
  redis.call('HSET', KEYS[1], 'closed', ARGV[3])
end
return { 0 }
