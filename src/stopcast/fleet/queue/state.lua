-- Comes before each of the other scripts: refuses a queue that is not the caller's, and reads what all workers agree on.
-- KEYS: the stream, the queue's state. ARGV: the state's version, the queue's id ('' if the caller has none yet).
local stream, state = KEYS[1], KEYS[2]
local version, id, joined = unpack(redis.call('HMGET', state, 'version', 'id', 'joined'))
if version and version ~= ARGV[1] then
  return redis.error_reply('STOPCASTVERSION ' .. version)
end
if ARGV[2] ~= '' and id ~= ARGV[2] then
  return redis.error_reply('STOPCASTGONE another queue')
end

-- Returns an error for a key that is neither a stream nor absent.
local function refuse_other_types(key)
  local length = redis.pcall('XLEN', key)
  if type(length) ~= 'table' then
    return nil
  end
  return length.err:find('WRONGTYPE', 1, true) and redis.error_reply('STOPCASTTYPE ' .. key) or length
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Claim-after in milliseconds, the deliveries, and the milliseconds for which no task may be taken over yet.
local function settings()
  local kept = redis.call('HMGET', state, 'claim_after_ms', 'max_deliveries', 'not_before_ms')
  local wait = kept[3] and math.max(0, tonumber(kept[3]) - now_ms()) or 0
  return {tonumber(kept[1]), tonumber(kept[2]), wait}
end
