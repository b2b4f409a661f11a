-- Opens the queue, and makes it where there is none. Returns its id, and for a worker the settings.
-- KEYS from 3: what has to be a stream, or absent. ARGV from 5: an id for a new queue, and for a worker
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
if not id or (joined and not about_group()) then
  id = ARGV[5]
  redis.call('HSET', state, 'version', ARGV[1], 'id', id)
  redis.call('HDEL', state, 'joined')
end
if not ARGV[6] then
  return {id}
end
join(ARGV[6], ARGV[7])
return {id, settings()}
