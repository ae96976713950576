"""HashStagram's core: vocabulary, transforms, model, bundle and recommender.

Training, tests and the TorchServe handler all import this package; it imports none of them.
"""
