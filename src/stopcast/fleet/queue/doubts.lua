-- Returns those of some tasks' identities that are in doubt. ARGV from 7: the identities.
local found = {}
for i = 7, #ARGV do
  if doubts.has(ARGV[i]) then
    found[#found + 1] = ARGV[i]
  end
end
return found
