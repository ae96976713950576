"""The command `hashstagram`; each of its subcommands is a module, imported when it is called."""
