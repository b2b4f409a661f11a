-- Puts dead letters back into the stream, whose deliveries are counted anew. KEYS[3]: the dead letters. ARGV[5]: how many
-- at most. Returns how many there were.
--
-- A call of an earlier delivery may have stopped the task. Redis keeps what a script wrote before an error, so the entry
-- comes first: one too many is one call, one too few is a task that is never stopped.
local letters = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', ARGV[5])
for _, letter in ipairs(letters) do
  local fields = letter[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'task' then
      redis.call('XADD', stream, '*', 'task', fields[i + 1], 'in_doubt', '1')
    end
  end
  redis.call('XDEL', KEYS[3], letter[1])
end
return #letters
