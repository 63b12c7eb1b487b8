"""The command line: one file a command, read and started by `main`."""
