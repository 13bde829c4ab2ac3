"""`python -m prebooking` is the command `prebooking`."""

from prebooking.cli import main

main()
