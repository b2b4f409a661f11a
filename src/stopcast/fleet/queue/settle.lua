-- Takes entries out of the stream for good, and writes another entry in place of each one that has words. An entry without
-- words shares those of the one before it: they are written once, for the first of them that is taken out.
-- KEYS[3]: where the other entries go. ARGV from 7: the consumer, then for each entry: its id, '1' if the
-- consumer must still hold it, the identity to forget ('' to keep it), '1' if a call may have stopped that task, and the
-- number and the words of the other entry's fields. Returns how many were taken out.
--
-- An entry that the stream no longer holds was settled before. So a second try, after an answer that was lost, writes
-- nothing twice, and neither does a worker that comes back after another one has done its work. Redis keeps what a
-- script wrote before an error, so the other entry is written first: no error may leave a task without its result. A
-- doubt is written before that, whoever holds the entry: one too many claims nothing false.
local other = KEYS[3]
local refusal = refuse_other_types(other)
if refusal then
  return refusal
end
local consumer, settled, unwritten, i = ARGV[7], 0, nil, 8
while i <= #ARGV do
  local entry, only_mine, identity, words = ARGV[i], ARGV[i + 1] == '1', ARGV[i + 2], tonumber(ARGV[i + 4])
  if ARGV[i + 3] == '1' then
    doubts.add(identity)
  end
  if words > 0 then
    unwritten = {unpack(ARGV, i + 5, i + 4 + words)}
  end
  if not only_mine or #redis.call('XPENDING', stream, group, entry, entry, 1, consumer) == 1 then
    local there = #redis.call('XRANGE', stream, entry, entry) == 1
    if there and unwritten then
      redis.call('XADD', other, '*', unpack(unwritten))
      unwritten = nil
    end
    redis.call('XACK', stream, group, entry)
    redis.call('XDEL', stream, entry)
    if there then
      settled = settled + 1
      if identity ~= '' then
        seen.forget(identity)
      end
    end
  end
  i = i + 5 + words
end
return settled
