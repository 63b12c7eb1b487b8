"""The command line: one file for each command, started by `main`."""
