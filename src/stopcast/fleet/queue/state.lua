-- Comes before each of the other scripts: refuses a queue that is not the caller's, and reads what all workers agree on.
-- KEYS: the stream, the queue's state. ARGV: the state's version, the queue's id ('' if the caller has none yet), the
-- consumer group, the newest entry that the caller had ('' if none).
local stream, state, group = KEYS[1], KEYS[2], ARGV[3]
local version, id, joined = unpack(redis.call('HMGET', state, 'version', 'id', 'joined'))
if version and version ~= ARGV[1] then
  return redis.error_reply('STOPCASTVERSION ' .. version)
end
if ARGV[2] ~= '' and id ~= ARGV[2] then
  return redis.error_reply('STOPCASTGONE another queue')
end

-- What Redis knows of the group; nil if there is none.
local function about_group()
  local groups = redis.pcall('XINFO', 'GROUPS', stream)
  for _, each in ipairs(groups.err and {} or groups) do
    local about = {}
    for i = 1, #each, 2 do
      about[each[i]] = each[i + 1]
    end
    if about.name == group then
      return about
    end
  end
end

local function place_of(entry)
  local ms, number = entry:match('(%d+)-(%d+)')
  return tonumber(ms), tonumber(number)
end

-- A replica that became the master lacks the last writes, as does a Redis that was started again after a crash. The
-- group is then behind an entry that the caller had.
if ARGV[4] ~= '' then
  local about = about_group()
  local had_ms, had_number = place_of(ARGV[4])
  local ms, number = place_of(about and about['last-delivered-id'] or '0-0')
  if had_ms > ms or (had_ms == ms and had_number > number) then
    return redis.error_reply('STOPCASTBACK Redis has lost its last writes')
  end
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

-- Makes the group where there is none, and keeps the settings where none are kept yet.
local function join(claim_after_ms, max_deliveries)
  if not about_group() then
    redis.call('XGROUP', 'CREATE', stream, group, '0', 'MKSTREAM')
  end
  redis.call('HSET', state, 'joined', '1')
  redis.call('HSETNX', state, 'claim_after_ms', claim_after_ms)
  redis.call('HSETNX', state, 'max_deliveries', max_deliveries)
end
