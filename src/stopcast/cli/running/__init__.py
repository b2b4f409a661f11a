"""What the commands that make calls have in common."""
