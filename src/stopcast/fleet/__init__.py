"""Everything that uses Redis: one quota and one queue for many processes."""
