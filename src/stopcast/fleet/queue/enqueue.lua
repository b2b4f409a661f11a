-- Adds tasks to the stream, each once for as long as its identity is kept: all of them or, where the stream is full,
-- none. ARGV from 3: the identities' prefix, the seconds for which they are kept at least, the most entries, whether to
-- add known tasks as well ('1'), then an identity and a task by turns. Returns how many were added, -1 if it is full.
--
-- One step writes an identity and its entry: a crash between the two would lose the task, or double it. The entry comes
-- first, because Redis keeps what a script wrote before an error: an entry too many is one call, an entry too few is a
-- task that is never stopped. Identities lie in hashes of about a hundred, by their first two bytes: 25 bytes each
-- instead of 100 as keys.
local prefix, kept = ARGV[3], tonumber(ARGV[4])
if redis.call('XLEN', stream) >= tonumber(ARGV[5]) then
  return -1
end
local period = math.floor(tonumber(redis.call('TIME')[1]) / kept)
local added = 0
for i = 7, #ARGV, 2 do
  local first, second = ARGV[i]:byte(1, 2)
  local shelf, rest = string.format(':%02x%02x', first, second), ARGV[i]:sub(3)
  local here = prefix .. string.format('%d', period) .. shelf
  local known_before = redis.call('HEXISTS', prefix .. string.format('%d', period - 1) .. shelf, rest) == 1
  local known = known_before or redis.call('HEXISTS', here, rest) == 1
  if not known or ARGV[6] == '1' then
    redis.call('XADD', stream, '*', 'task', ARGV[i + 1])
    added = added + 1
  end
  if not known and redis.call('HSET', here, rest, '') == 1 and redis.call('HLEN', here) == 1 then
    redis.call('EXPIRE', here, 2 * kept)
  end
end
return added
