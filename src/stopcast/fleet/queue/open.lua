-- Opens the queue, and makes it where there is none. Returns its id, and for a worker the settings.
-- KEYS from 3: what has to be a stream, or absent. ARGV from 3: the group, an id for a new queue, and for a worker
-- claim-after in milliseconds and the deliveries.
--
-- A stream without a state was filled by other programs or by version 0.1, and is taken as it is. A state whose stream
-- has lost its group has lost the tasks: the queue gets another id, by which all who knew the old one learn of it.
for i = 3, #KEYS do
  local refusal = refuse_other_types(KEYS[i])
  if refusal then
    return refusal
  end
end
redis.call('XLEN', stream) -- raises an error if the key is no stream
local has_group, groups = false, redis.pcall('XINFO', 'GROUPS', stream)
for _, group in ipairs(groups.err and {} or groups) do
  has_group = has_group or group[2] == ARGV[3]
end
if not id or (joined and not has_group) then
  id = ARGV[4]
  redis.call('HSET', state, 'version', ARGV[1], 'id', id)
  redis.call('HDEL', state, 'joined')
end
if not ARGV[5] then
  return {id}
end
if not has_group then
  redis.call('XGROUP', 'CREATE', stream, ARGV[3], '0', 'MKSTREAM')
end
redis.call('HSET', state, 'joined', '1')
redis.call('HSETNX', state, 'claim_after_ms', ARGV[5])
redis.call('HSETNX', state, 'max_deliveries', ARGV[6])
return {id, settings()}
