"""Comparison: by how much the ratios of two campaigns differ."""

import statistics
from collections.abc import Iterator

from benchmarks.peers.results import Results, ratios


def differences(one: Results, other: Results) -> Iterator[str]:
    """A line for each place that both have, and one for all of them."""
    second = {ratio.place: ratio.rate for ratio in ratios(other)}
    changes = []
    for ratio in ratios(one):
        if ratio.place in second:
            changes.append(second[ratio.place] / ratio.rate - 1)
            place = ratio.place
            yield (
                f"{place.model}, {place.width} px, {place.connections} connections: "
                f"{ratio.rate:.2f} and {second[place]:.2f}, {changes[-1]:+.1%}"
            )
    if changes:
        sizes = [abs(change) for change in changes]
        yield f"median {statistics.median(sizes):.1%}, largest {max(sizes):.1%} of {len(sizes)}"
    else:
        yield "there is no place that both have"
