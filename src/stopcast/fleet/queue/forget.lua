-- Removes from the group the consumers that hold nothing and have been silent for long. XGROUP DELCONSUMER alone would
-- drop entries that a consumer got a moment before. ARGV from 3: the group, a consumer ('' for any), the milliseconds.
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, ARGV[3])) do
  local about = {}
  for i = 1, #consumer, 2 do
    about[consumer[i]] = consumer[i + 1]
  end
  if about.pending == 0 and about.idle >= tonumber(ARGV[5]) and (ARGV[4] == '' or ARGV[4] == about.name) then
    redis.call('XGROUP', 'DELCONSUMER', stream, ARGV[3], about.name)
  end
end
