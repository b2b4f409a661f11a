"""The engine: one call, one task, many tasks, one run. It knows the ports, not what fills them."""
