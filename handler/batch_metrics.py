"""BatchMetrics: what Prometheus gets to know of each batch, through TorchServe."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any


class BatchMetrics:
    """Records the metrics that the server's metrics file lists; others are left out.

    Each record is a line on the worker's output, which TorchServe parses: some 25 microseconds
    here alone. Hence one for each batch where that tells as much as one for each photo.

    Args:
        cache: TorchServe's, with the metrics of the file: context.metrics.
        labels: values of the first labels of every metric: the model's name and version.
    """

    def __init__(self, cache: Any, *labels: str) -> None:
        by_type = cache.cache.values()
        self._listed = {name: metric for listed in by_type for name, metric in listed.items()}
        self._labels = labels

    def _record(self, name: str, value: float, *labels: str) -> None:
        if name in self._listed:
            self._listed[name].add_or_update(value, [*self._labels, *labels])

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Take the time of what is done within."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._record("hashstagram_stage_seconds", time.perf_counter() - start, name)

    def batch(self, size: int) -> None:
        """A batch of so many requests arrived."""
        self._record("hashstagram_batch_size", size)

    def answered(self, top_scores: Iterable[float], abstained: int) -> None:
        """Photos got their hashtags: each one's best score, and for how many that was too low."""
        scores = list(top_scores)
        if scores:
            self._record("hashstagram_photos_total", len(scores))
        if abstained:
            self._record("hashstagram_abstentions_total", abstained)
        for score in scores:  # a distribution takes each
            self._record("hashstagram_top_score", score)

    def refused(self, reasons: Iterable[str]) -> None:
        """Photos or requests got an error: its type for each."""
        for reason, count in Counter(reasons).items():
            self._record("hashstagram_errors_total", count, reason)
