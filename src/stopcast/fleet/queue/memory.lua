-- Comes before the scripts that remember tasks, after state.lua: which tasks were put in, and which of them are in doubt.
-- ARGV[5] and ARGV[6]: the prefix of the keys, and the seconds for which an identity is kept at least, and twice as long
-- at most.
--
-- Identities lie in hashes of about a hundred, by their first two bytes: 25 bytes each instead of 100 as keys.
local kept = tonumber(ARGV[6])
local period = math.floor(tonumber(redis.call('TIME')[1]) / kept)

local function memory(name)
  local function place(identity, at)
    return ARGV[5] .. string.format('%s:%d:%02x%02x', name, at, identity:byte(1, 2)), identity:sub(3)
  end
  local function has(identity)
    for at = period - 1, period do
      if redis.call('HEXISTS', place(identity, at)) == 1 then
        return true
      end
    end
    return false
  end
  local function add(identity)
    local key, rest = place(identity, period)
    if redis.call('HSET', key, rest, '') == 1 and redis.call('HLEN', key) == 1 then
      redis.call('EXPIRE', key, 2 * kept)
    end
  end
  local function forget(identity)
    for at = period - 1, period do
      redis.call('HDEL', place(identity, at))
    end
  end
  return {has = has, add = add, forget = forget}
end

local seen, doubts = memory('seen'), memory('doubts')
