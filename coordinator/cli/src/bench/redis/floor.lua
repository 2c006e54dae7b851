#!lua
-- The least that commits of many sagas in many shards need: fenced, compared and set, with state, output, history and an index
-- of what is open.
-- KEYS: per write its shard's lease, its shard's open sagas, its saga.
-- ARGV: epoch, nonce; per write expected revision, state, output, history, 1 if the saga is open after it.
-- Answers 1 for each write that was accepted, else 0.
local leases, answers = {}, {}
for i = 1, #KEYS / 3 do
  local lease, open, saga = KEYS[3 * i - 2], KEYS[3 * i - 1], KEYS[3 * i]
  local at = 5 * i - 2
  local expected, number = ARGV[at], tonumber(ARGV[at]) + 1
  local owner = leases[lease]
  if not owner then
    owner = redis.call('HMGET', lease, 'epoch', 'nonce')
    leases[lease] = owner
  end
  if owner[1] == ARGV[1] and owner[2] == ARGV[2] and (redis.call('HGET', saga, 'rev') or '0') == expected then
    redis.call('HSET', saga, 'rev', number, 'state', ARGV[at + 1], 'o' .. number, ARGV[at + 2], 'h' .. number, ARGV[at + 3])
    if ARGV[at + 4] ~= '1' then
      redis.call('ZREM', open, saga)
    elseif expected == '0' then
      redis.call('ZADD', open, 0, saga)
    end
    answers[i] = 1
  else
    answers[i] = 0
  end
end
return answers
