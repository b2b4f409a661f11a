"""The report on disk: its lines, the writer, what was in flight, and reading it back."""
