"""Runs the command line for ``python -m stopcast``."""

from stopcast.cli import main

main()
