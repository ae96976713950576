"""The same service in other servers: who answers faster on the same machine, in one run."""
