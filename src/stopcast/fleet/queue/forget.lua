-- Removes from the group the consumers that hold nothing and have been silent for long. XGROUP DELCONSUMER alone would
-- drop entries that a consumer got a moment before. ARGV from 5: a consumer ('' for any), the milliseconds.
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', stream, group)) do
  local about = {}
  for i = 1, #consumer, 2 do
    about[consumer[i]] = consumer[i + 1]
  end
  if about.pending == 0 and about.idle >= tonumber(ARGV[6]) and (ARGV[5] == '' or ARGV[5] == about.name) then
    redis.call('XGROUP', 'DELCONSUMER', stream, group, about.name)
  end
end
