-- Takes out of the group the consumers that hold nothing and have given no sign of life for long: XGROUP DELCONSUMER
-- alone would drop entries that came to one a moment before.
-- KEYS: the stream. ARGV: the group, a consumer ('' for any), the milliseconds.
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local about = {}
  for i = 1, #consumer, 2 do
    about[consumer[i]] = consumer[i + 1]
  end
  if about.pending == 0 and about.idle >= tonumber(ARGV[3]) and (ARGV[2] == '' or ARGV[2] == about.name) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], about.name)
  end
end
