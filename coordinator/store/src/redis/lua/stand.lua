#!lua
-- Changes how the store stands, compared and set. KEYS: meta. ARGV: from, to (empty: in use).
-- Answers how it stood before; where that is neither of the two nothing was changed.
local standing = redis.call('HGET', KEYS[1], 'standing') or ''
if standing == ARGV[1] then
  if ARGV[2] == '' then
    redis.call('HDEL', KEYS[1], 'standing')
  else
    redis.call('HSET', KEYS[1], 'standing', ARGV[2])
  end
end
return standing
