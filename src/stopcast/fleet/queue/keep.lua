-- A sign of life: the idle time of a consumer's entries begins again. An entry that another consumer has taken over
-- stays with it; XCLAIM alone would take it back. Returns the settings, and the ids of the entries that are still the
-- consumer's. ARGV from 3: the group, the consumer, the entries' ids.
local group, consumer, ours = ARGV[3], ARGV[4], {}
for i = 5, #ARGV do
  if
    #redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer) == 1
    and #redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'JUSTID') == 1
  then
    ours[#ours + 1] = ARGV[i]
  end
end
return {settings(), ours}
