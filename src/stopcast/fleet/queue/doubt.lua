-- Remembers that tasks are in doubt. ARGV from 7: their identities.
for i = 7, #ARGV do
  doubts.add(ARGV[i])
end
