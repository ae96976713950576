"""Files: the names of those that a bundle's answers depend on."""

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
VOCABULARY = "index_to_name.json"
NEIGHBOURS = "neighbours.safetensors"  # only where config.json says how they vote
USAGE = "usage.json"  # optional
GRAPH = "graph.xml"  # in archives only, see hashstagram.graph
GRAPH_WEIGHTS = "graph.bin"
FILES = (WEIGHTS, CONFIG, VOCABULARY, NEIGHBOURS, USAGE, GRAPH, GRAPH_WEIGHTS)
