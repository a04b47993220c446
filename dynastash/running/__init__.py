"""Starting a program with secrets in its environment: all of them, or the program does not start."""
