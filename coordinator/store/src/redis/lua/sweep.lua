#!lua
-- Removes finished sagas of one shard whose retention has passed, and reserves their ids.
-- KEYS: ended, index, counts, reserved; then the sagas. ARGV: per saga namespace, id, digest of its key, retain until.
-- A saga that is open again, or is kept for longer since it was found, stays. Answers how many were removed.
local ended, index, counts, reserved = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local removed = 0
for i = 5, #KEYS do
  local a = (i - 5) * 4
  local ns, id, digest, keep = ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4]
  local found = redis.call('HMGET', KEYS[i], 'cell', 'keep', 'at', 'labels')
  local cell = found[1]
  if cell and string.sub(cell, -1) == '0' and found[2] == keep then
    local place = ',' .. found[3] .. ',' .. id
    redis.call('SADD', reserved, digest)
    redis.call('UNLINK', KEYS[i])
    redis.call('ZREM', ended, keep .. ',' .. ns .. ',' .. id)
    redis.call('ZREM', index, 's,' .. ns .. place, 'c,' .. cell .. place)
    for label in string.gmatch(found[4], '%x+') do
      redis.call('ZREM', index, 'l,' .. ns .. ',' .. label .. place)
    end
    if redis.call('HINCRBY', counts, cell, -1) == 0 then redis.call('HDEL', counts, cell) end
    removed = removed + 1
  end
end
return removed
