"""Seeds: each random choice depends on where in the training it is made, and on nothing else.

So neither the number of data workers and processes nor a kill in between changes what comes out.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(*place: int) -> int:
    """One seed for a place such as (seed, epoch, photo); places nearby get unlike seeds."""
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])


@contextmanager
def seeded(*place: int) -> Iterator[None]:
    """PyTorch's global dice of the CPU start from this place, and are put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_of(*place))
        yield
