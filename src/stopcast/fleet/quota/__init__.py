"""One cap for all processes that name the same Redis and account."""
