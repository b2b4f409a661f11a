"""``python -m stopcast``."""

from stopcast.cli import main

main()
