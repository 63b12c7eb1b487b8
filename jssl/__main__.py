"""`python -m jssl`, where the command is not on the path."""

from jssl.commands.main import main

if __name__ == "__main__":
    main()
