"""From tagged photos to a bundle: prepare, train, evaluate, export."""
