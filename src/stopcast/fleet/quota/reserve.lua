-- An account's calls as slots on Redis' own clock, one behind the other (generic cell rate algorithm): reserves the next
-- few of them and tells when they are. Times are microseconds.
--
-- No slot lies further ahead than the horizon. So where it is not certain that the state kept here is whole and the
-- newest, going on at the horizon is safe: whatever was given before lies ahead of that.
local permits, full = tonumber(ARGV[1]), tonumber(ARGV[2])
local introduced, pause = ARGV[3] == '1', ARGV[4] == '1'
local throttled, hold, reach = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]
local least = math.min(full, math.max(full / 30, 2))
local horizon = math.max(1e6, 2e6 / full)

local kept = redis.pcall('HMGET', KEYS[1], 'next', 'seen', 'rate', 'rate_at', 'held', 'server', 'second', 'count',
  'last_count', 'worst_count')
if kept.err then
  -- No hash of ours.
  redis.call('DEL', KEYS[1])
  kept = {}
end
local function stored(place, lowest, highest)
  local value = tonumber(kept[place])
  return value and value >= lowest and value <= highest and value or nil
end

local seen = stored(2, 0, 2 ^ 53) or 0
local set_back = math.max(0, seen - now)

-- A server that started anew, or took over, may know an older state than was given out.
local server = kept[6] or ''
if introduced then
  local info = redis.pcall('INFO', 'server')
  local id = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''
  pause = pause or id == '' or id ~= server
  server = id
end
local next_slot = stored(1, seen, seen + horizon)
if pause or not next_slot then next_slot = now + horizon end
next_slot = math.min(math.max(next_slot, now), now + horizon)

-- Each throttled answer takes one call a second off; the full rate is back 25 s after the last one.
local rate, rate_at = stored(3, least, full), stored(4, 0, seen)
rate = rate and rate_at and math.min(full, rate + full / 25e6 * (now + set_back - rate_at)) or full
rate = math.max(least, rate - throttled)
local held = math.max((stored(5, 0, seen + 60e6) or 0) - set_back, now + hold)

-- A slot that is over before the answer arrives helps nobody.
next_slot = math.max(next_slot, now + math.min(reach, horizon / 4))

local slot = math.ceil(1e6 / rate)
local granted, wait = 0, 0
if held > now then
  wait = held - now
elseif permits > 0 then
  -- At most 42 ms of slots, and fewer as it gets crowded.
  local crowd = math.min(1, 2 - 2 * (next_slot - now) / horizon)
  granted = math.ceil(math.min(permits, math.max(1, math.floor(42e3 / slot))) * crowd)
  granted = math.max(0, math.min(granted, math.floor((now + horizon - next_slot) / slot)))
  if granted == 0 then wait = horizon / 2 end
end

-- For people: how many slots lay in the present second, the one before, and the fullest.
local second, count = stored(7, 0, 2 ^ 53) or 0, stored(8, 0, 2 ^ 53) or 0
local last_count, worst_count = stored(9, 0, 2 ^ 53) or 0, stored(10, 0, 2 ^ 53) or 0
for place = 0, granted - 1 do
  local its = math.floor((next_slot + place * slot) / 1e6)
  if its ~= second then
    last_count, second, count = its == second + 1 and count or 0, its, 0
  end
  count = count + 1
  worst_count = math.max(worst_count, count)
end

local function whole(number) return string.format('%.0f', number) end
redis.call('HSET', KEYS[1], 'next', whole(next_slot + granted * slot), 'seen', whole(now), 'full', tostring(full), 'rate', tostring(rate),
  'rate_at', whole(now), 'held', whole(held), 'server', server, 'second', whole(second), 'count', whole(count),
  'last_count', whole(last_count), 'worst_count', whole(worst_count))
redis.call('HINCRBY', KEYS[1], 'permits', granted)
redis.call('HINCRBY', KEYS[1], 'throttled', throttled)
redis.call('PEXPIRE', KEYS[1], 86400000)
return {granted, now, next_slot, slot, math.ceil(wait), math.floor(rate * 1000)}
