-- An account's calls as slots on Redis' own clock, one behind the other (generic cell rate algorithm). This reserves the
-- next few slots and returns when they are. Times are microseconds.
--
-- No slot lies further ahead than the horizon. So where it is not certain that the state kept here is whole and the
-- newest, going on at the horizon is safe: every slot that was given before lies ahead of that.
--
-- KEYS: the account's state, its state as version 0.1 kept it, the index of all accounts.
local permits, full = tonumber(ARGV[1]), tonumber(ARGV[2])
local verify, pause = ARGV[3] == '1', ARGV[4] == '1'
local throttled, hold, reach = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local max_per_second, jitter, change = ARGV[8], ARGV[9], ARGV[10] == '1'
local name = ARGV[11]
-- Of what is kept here. Another version of it is refused for as long as it is in use.
local version, in_use = '2', 60e6

local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]

local function whole(number) return string.format('%.0f', number) end
local function exact(number) return string.format('%.17g', number) end

local function wrong_type(answer)
  return type(answer) == 'table' and answer.err and string.find(answer.err, 'WRONGTYPE', 1, true)
end

local function within(value, lowest, highest)
  value = tonumber(value)
  return value and value >= lowest and value <= highest and value or nil
end

local old = redis.pcall('HMGET', KEYS[2], 'seen')
if not old.err and within(old[1], now - in_use, now + in_use) then return {-1, now} end

local fields = {'next', 'seen', 'rate', 'rate_at', 'held', 'server', 'second', 'count', 'last_count', 'worst_count',
  'version', 'max_per_second', 'arrival_jitter', 'full', 'made', 'permits', 'throttled'}
local answer = redis.pcall('HMGET', KEYS[1], unpack(fields))
local kept = {}
if wrong_type(answer) then
  -- Not a hash, so not ours.
  redis.call('DEL', KEYS[1])
elseif answer.err then
  return answer
else
  for place, field in ipairs(fields) do kept[field] = answer[place] end
  if kept.seen and kept.version ~= version then
    if within(kept.seen, now - in_use, now + in_use) then return {-2, now} end
    redis.call('DEL', KEYS[1])
    kept = {}
  end
end

-- The settings of the first process count, until they are changed on purpose.
local kept_max, kept_full = within(kept.max_per_second, 1e-6, 1e9), within(kept.full, 1e-6, 1e9)
local kept_jitter = within(kept.arrival_jitter, 0, 1e9)
local made = within(kept.made, 1, 2 ^ 53)
local agreed = change or (kept_max == tonumber(max_per_second) and kept_jitter == tonumber(jitter))
if not (kept_max and kept_full and kept_jitter and made) then
  agreed, made = true, now
elseif not agreed then
  max_per_second, jitter, full = exact(kept_max), exact(kept_jitter), kept_full
end

local least = math.min(full, math.max(full / 30, 2))
-- Whole, as the moments that are kept: the next slot may lie just at it.
local horizon = math.ceil(math.max(1e6, 2e6 / full))
local seen = within(kept.seen, 0, 2 ^ 53) or 0
local set_back = math.max(0, seen - now)

-- A server that started anew, or took over, may know an older state than was given out.
local server = kept.server or ''
if verify then
  local info = redis.pcall('INFO', 'server')
  local id = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
  pause = pause or id == '' or id ~= server
  server = id
end
local next_slot = within(kept.next, seen, seen + horizon)
if pause or not next_slot then next_slot = now + horizon end
next_slot = math.min(math.max(next_slot, now), now + horizon)

-- The law of stopcast/limiters/pacer.py.
local rate, rate_at = within(kept.rate, least, full), within(kept.rate_at, 0, seen)
rate = rate and rate_at and math.min(full, rate + full / 25e6 * (now + set_back - rate_at)) or full
rate = math.max(least, rate - throttled)
local held = math.max((within(kept.held, 0, seen + 60e6) or 0) - set_back, now + hold)
-- Slots by the old settings may lie up to a horizon ahead. No second holds some of those and some by the new ones.
if change then held = math.max(held, now + 2 * math.max(horizon, 2e6 / (kept_full or full))) end

-- A slot that is over before the answer arrives is lost.
next_slot = math.max(next_slot, now + math.min(reach, horizon / 4))

local slot = math.ceil(1e6 / rate)
local granted, wait = 0, 0
if held > now then
  wait = held - now
elseif permits > 0 and agreed then
  -- At most 42 ms of slots, and fewer as it gets crowded.
  local crowd = math.min(1, 2 - 2 * (next_slot - now) / horizon)
  granted = math.ceil(math.min(permits, math.max(1, math.floor(42e3 / slot))) * crowd)
  granted = math.max(0, math.min(granted, math.floor((now + horizon - next_slot) / slot)))
  if granted == 0 then wait = horizon / 2 end
end

-- For people: how many slots lay in the present second, the one before, and the fullest.
local second, count = within(kept.second, 0, 2 ^ 53) or 0, within(kept.count, 0, 2 ^ 53) or 0
local last_count, worst_count = within(kept.last_count, 0, 2 ^ 53) or 0, within(kept.worst_count, 0, 2 ^ 53) or 0
for place = 0, granted - 1 do
  local its = math.floor((next_slot + place * slot) / 1e6)
  if its ~= second then
    last_count, second, count = its == second + 1 and count or 0, its, 0
  end
  count = count + 1
  worst_count = math.max(worst_count, count)
end

redis.call('HSET', KEYS[1], 'next', whole(next_slot + granted * slot), 'seen', whole(now), 'full', exact(full), 'rate', exact(rate),
  'rate_at', whole(now), 'held', whole(held), 'server', server, 'second', whole(second), 'count', whole(count),
  'last_count', whole(last_count), 'worst_count', whole(worst_count), 'version', version,
  'max_per_second', max_per_second, 'arrival_jitter', jitter, 'made', whole(made),
  'permits', whole((within(kept.permits, 0, 2 ^ 53) or 0) + granted),
  'throttled', whole((within(kept.throttled, 0, 2 ^ 53) or 0) + throttled))
redis.call('PEXPIRE', KEYS[1], 86400000)
-- Once a minute is enough for an index whose accounts are kept for a day.
if verify or math.floor(now / 60e6) ~= math.floor(seen / 60e6) then
  if wrong_type(redis.pcall('HSET', KEYS[3], name, whole(now))) then
    redis.call('DEL', KEYS[3])
    redis.call('HSET', KEYS[3], name, whole(now))
  end
  redis.call('PEXPIRE', KEYS[3], 86400000)
end
return {granted, now, next_slot, slot, math.ceil(wait), math.floor(rate * 1000), max_per_second, jitter, whole(made)}
