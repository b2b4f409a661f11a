-- Changes what all workers agree on. ARGV from 5: claim-after in milliseconds and the deliveries, '' to leave one as is.
--
-- A worker learns of the change with its next sign of life, at the latest when its tasks are no longer its own. Until
-- then no task is taken over by the new, shorter time.
local old = settings()
if ARGV[5] ~= '' then
  redis.call('HSET', state, 'claim_after_ms', ARGV[5], 'not_before_ms', now_ms() + math.max(old[1] or 0, old[3]))
end
if ARGV[6] ~= '' then
  redis.call('HSET', state, 'max_deliveries', ARGV[6])
end
