-- Tells that a consumer still works on its entries: their idle time begins anew. What another consumer has taken over
-- meanwhile stays with it, which XCLAIM alone would take back.
-- KEYS: the stream. ARGV: the group, the consumer, the entries' ids.
for i = 3, #ARGV do
  if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) == 1 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
  end
end
