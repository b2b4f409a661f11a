-- Puts entries into the stream again that were delivered and that no consumer has. Nothing else would deliver them: a
-- consumer was removed, or its entries were acknowledged, by something that is not stopcast. ARGV[5]: the entries to look
-- at. Returns how many there were.
--
-- A call of that consumer may have stopped the task. What is settled has left the stream, so few entries are looked at.
local adopted, about = 0, about_group()
for _, entry in ipairs(about and redis.call('XRANGE', stream, '-', about['last-delivered-id'], 'COUNT', ARGV[5]) or {}) do
  if #redis.call('XPENDING', stream, group, entry[1], entry[1], 1) == 0 then
    local fields = entry[2]
    fields[#fields + 1] = 'in_doubt'
    fields[#fields + 1] = '1'
    redis.call('XADD', stream, '*', unpack(fields))
    redis.call('XDEL', stream, entry[1])
    adopted = adopted + 1
  end
end
return adopted
