"""The command line: one module a command, each from arguments to a call, to what is shown, to an exit code."""
