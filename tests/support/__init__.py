"""What the tests share: real processes, servers and terminals, and what stands in for them."""
