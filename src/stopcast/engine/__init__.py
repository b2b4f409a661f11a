"""The engine: it sends calls, retries tasks and runs lists. It imports the ports, not their implementations."""
