-- Adds tasks to the stream, each once for as long as its identity is kept: all of them or, where the stream is full,
-- none. ARGV from 7: the most entries, whether to add known tasks as well ('1'), whether a call may have stopped them
-- ('1'), then an identity and a task by turns. Returns how many were added, -1 if it is full.
--
-- One step writes an identity and its entry: a crash between the two would lose the task, or double it. The entry comes
-- first, because Redis keeps what a script wrote before an error: an entry too many is one call, an entry too few is a
-- task that is never stopped. A task that is known may have been stopped by a call of the queue's workers.
if redis.call('XLEN', stream) >= tonumber(ARGV[7]) then
  return -1
end
local again, in_doubt, added = ARGV[8] == '1', ARGV[9] == '1', 0
for i = 10, #ARGV, 2 do
  local identity, known = ARGV[i], seen.has(ARGV[i])
  if in_doubt or (known and again) then
    doubts.add(identity)
  end
  if not known or again then
    redis.call('XADD', stream, '*', 'task', ARGV[i + 1])
    added = added + 1
  end
  if not known then
    seen.add(identity)
  end
end
return added
