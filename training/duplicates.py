"""Near-duplicates: one photo posted twice, smaller, saved again, filtered or under other tags.

A perceptual hash finds the pairs that may be the same; an embedding of the fine structure, which
the hash does not see, confirms them. Two plain skies share the first and not the second.
"""

from collections.abc import Sequence
from typing import NamedTuple

import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 32  # pixels: what the hash's cosine transform reads

# Chosen by eye on 21,000 photos of six sets. Below, nearly every pair is another T-shirt on the
# same floor or another aeroplane in the same sky; above, all are one photo, some of them in other
# colours or a moment later.
DISTANCE = 12  # of the hash's 64 bits
LIKENESS = 0.86  # cosine of the embeddings

_BLOCK = 64  # photos compared with all others at once; the block stays in the cache


class Look(NamedTuple):
    """What a photo looks like, in little.

    Args:
        hash: the perceptual hash, 64 bits.
        thumbnail: (32, 32), uint8, grey.
    """

    hash: int
    thumbnail: npt.NDArray[np.uint8]


def look_of(image: Image.Image) -> Look:
    """The look of a picture of any size; colours, which filters change, play no part."""
    grey = image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return Look(int(str(imagehash.phash(grey)), 16), np.asarray(grey))


def same_photo(looks: Sequence[Look]) -> npt.NDArray[np.int32]:
    """A number for each look, equal for those that show the same photo; chains count as one."""
    hashes = np.array([look.hash for look in looks], dtype=np.uint64)
    embeddings = np.stack([_embedding(look.thumbnail) for look in looks])
    pairs = np.concatenate(
        [_pairs(hashes, embeddings, first) for first in range(0, len(looks), _BLOCK)], axis=1
    )
    graph = coo_array((np.ones(pairs.shape[1], dtype=bool), tuple(pairs)), (len(looks), len(looks)))
    numbers: npt.NDArray[np.int32] = connected_components(graph, directed=False)[1]
    return numbers


def _pairs(
    hashes: npt.NDArray[np.uint64], embeddings: npt.NDArray[np.float16], first: int
) -> npt.NDArray[np.intp]:
    """Which of the photos from `first` on are the same as a later one: (2, pairs) of indices."""
    block = hashes[first : first + _BLOCK, None]
    close = np.bitwise_count(block ^ hashes[None, first:]) <= DISTANCE
    one, other = (index + first for index in np.nonzero(np.triu(close, k=1)))
    likeness = np.einsum(
        "pe,pe->p", embeddings[one].astype(np.float32), embeddings[other].astype(np.float32)
    )
    return np.stack([one, other])[:, likeness >= LIKENESS]


def _embedding(thumbnail: npt.NDArray[np.uint8]) -> npt.NDArray[np.float16]:
    """Local contrast, of length one: (784,) from (32, 32).

    Each pixel less its surroundings' mean, over their deviation: without the second, the black
    frame of a scanned slide would be all that counts. The outermost pixels are left out for it.
    """
    grey = thumbnail.astype(np.float32)
    contrast = grey - uniform_filter(grey, 7)
    deviation = np.sqrt(uniform_filter(contrast**2, 7).clip(0))
    local = (contrast / (deviation + 6))[2:-2, 2:-2].ravel()  # 6 of 255: what is less is noise
    unit: npt.NDArray[np.float16] = (local / max(np.linalg.norm(local), 1e-6)).astype(np.float16)
    return unit
