"""What the front promises, measured: each subcommand hurts it in one way and prints the figures."""
