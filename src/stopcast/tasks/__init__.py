"""What a task is, and which rows become one."""
