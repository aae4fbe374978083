"""What the command line can do, a command a file: a dataclass of its options, and `run`."""
