"""``python -m xinyi``."""

from .cli import main

main()
