-- Takes entries out of the stream for good, and puts something else in their place where that is asked for.
-- KEYS: the stream, and where the other entries go. ARGV: the group, the consumer that must still hold an entry ('' if
-- anybody may), the identities' prefix, the seconds that they are kept, then for each entry: its id, the identity to
-- forget ('' to keep it), and the number and the words of the other entry's fields. Returns how many were taken out.
--
-- What the stream does not hold any more was settled before. So a second try, after an answer that was lost, does
-- nothing, and neither does a worker that comes back after another one has done its work.
local stream, other = KEYS[1], KEYS[2]
local group, holder, prefix, kept = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local period = math.floor(tonumber(redis.call('TIME')[1]) / kept)
local settled, i = 0, 5
while i <= #ARGV do
  local id, identity, words = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  if holder == '' or #redis.call('XPENDING', stream, group, id, id, 1, holder) == 1 then
    redis.call('XACK', stream, group, id)
    if redis.call('XDEL', stream, id) == 1 then
      settled = settled + 1
      if words > 0 then
        redis.call('XADD', other, '*', unpack(ARGV, i + 3, i + 2 + words))
      end
      if identity ~= '' then
        local shelf = string.format(':%02x%02x', identity:byte(1, 2))
        for p = period - 1, period do
          redis.call('HDEL', prefix .. string.format('%d', p) .. shelf, identity:sub(3))
        end
      end
    end
  end
  i = i + 3 + words
end
return settled
