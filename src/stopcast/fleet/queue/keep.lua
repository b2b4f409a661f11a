-- A sign of life: the idle time of a consumer's entries begins again. An entry that another consumer has taken over
-- stays with it; XCLAIM alone would take it back. Returns the settings, and the ids of the entries that are still the
-- consumer's. ARGV from 5: the consumer, claim-after in milliseconds and the deliveries as it knows them, the entries' ids.
--
-- Where Redis has forgotten that any worker joined, because it has lost its last writes, the consumer joins again.
if joined and not about_group() then
  return redis.error_reply('STOPCASTGONE the group')
end
join(ARGV[6], ARGV[7])
local consumer, ours = ARGV[5], {}
for i = 8, #ARGV do
  if
    #redis.call('XPENDING', stream, group, ARGV[i], ARGV[i], 1, consumer) == 1
    and #redis.call('XCLAIM', stream, group, consumer, 0, ARGV[i], 'JUSTID') == 1
  then
    ours[#ours + 1] = ARGV[i]
  end
end
return {settings(), ours}
