-- Adds tasks to the stream, each once for as long as its identity is kept, all of them or, where it is full, none.
-- KEYS: the stream. ARGV: the identities' prefix, seconds that they are kept at least, the most entries, whether to add
-- what is known as well ('1'), then an identity and a task by turns. Returns how many were added, -1 if it is full.
--
-- An identity and its entry are written in one step: a crash between the two would lose the task, or double it.
-- Identities lie in hashes of a hundred or so, by their first two bytes: 25 bytes each instead of 100 as keys.
local stream, prefix, kept = KEYS[1], ARGV[1], tonumber(ARGV[2])
if redis.call('XLEN', stream) >= tonumber(ARGV[3]) then
  return -1
end
local period = math.floor(tonumber(redis.call('TIME')[1]) / kept)
local added = 0
for i = 5, #ARGV, 2 do
  local first, second = ARGV[i]:byte(1, 2)
  local shelf, rest = string.format(':%02x%02x', first, second), ARGV[i]:sub(3)
  local here = prefix .. string.format('%d', period) .. shelf
  local known = redis.call('HEXISTS', prefix .. string.format('%d', period - 1) .. shelf, rest) == 1
  if not known then
    known = redis.call('HSETNX', here, rest, '') == 0
    if not known and redis.call('HLEN', here) == 1 then
      redis.call('EXPIRE', here, 2 * kept)
    end
  end
  if not known or ARGV[4] == '1' then
    redis.call('XADD', stream, '*', 'task', ARGV[i + 1])
    added = added + 1
  end
end
return added
