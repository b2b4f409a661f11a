"""What a user sees while a command runs, and the sentences that commands print."""
