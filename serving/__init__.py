"""Starting and stopping TorchServe with our archive, for people, tests and benchmarks."""
