-- Takes entries out of the stream for good, and writes another entry in place of each one that has words.
-- KEYS[3]: where the other entries go. ARGV from 3: the group, the consumer, the identities' prefix, the seconds for which
-- they are kept, then for each entry: its id, '1' if the consumer must still hold it, the identity to forget ('' to keep
-- it), and the number and the words of the other entry's fields. Returns how many were taken out.
--
-- An entry that the stream no longer holds was settled before. So a second try, after an answer that was lost, writes
-- nothing twice, and neither does a worker that comes back after another one has done its work. Redis keeps what a
-- script wrote before an error, so the other entry is written first: no error may leave a task without its result.
local other = KEYS[3]
local refusal = refuse_other_types(other)
if refusal then
  return refusal
end
local group, consumer, prefix, kept = ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local period = math.floor(tonumber(redis.call('TIME')[1]) / kept)
local settled, i = 0, 7
while i <= #ARGV do
  local entry, only_mine, identity, words = ARGV[i], ARGV[i + 1] == '1', ARGV[i + 2], tonumber(ARGV[i + 3])
  if not only_mine or #redis.call('XPENDING', stream, group, entry, entry, 1, consumer) == 1 then
    local there = #redis.call('XRANGE', stream, entry, entry) == 1
    if there and words > 0 then
      redis.call('XADD', other, '*', unpack(ARGV, i + 4, i + 3 + words))
    end
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
    if there then
      settled = settled + 1
      if identity ~= '' then
        local shelf = string.format(':%02x%02x', identity:byte(1, 2))
        for p = period - 1, period do
          redis.call('HDEL', prefix .. string.format('%d', p) .. shelf, identity:sub(3))
        end
      end
    end
  end
  i = i + 4 + words
end
return settled
