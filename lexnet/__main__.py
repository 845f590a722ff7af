"""`python -m lexnet` is `lexnet`."""

from lexnet.cli import main

if __name__ == "__main__":
    main()
