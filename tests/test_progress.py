import logging
import re
import time
from collections.abc import Iterator

import pytest

from training import progress


def slow(items: int) -> Iterator[int]:
    for item in range(items):
        time.sleep(0.6)
        yield item


def test_a_log_file_hears_how_far_it_is_and_how_long_it_takes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "SECONDS", 0.5)
    caplog.set_level(logging.INFO)
    assert list(progress.track(slow(4), "epoch 2", 4, lambda: "mean loss 0.1")) == [*range(4)]
    told = [
        re.fullmatch(r"epoch 2: (\d) of 4, (.+) left, mean loss 0\.1", m) for m in caplog.messages
    ]
    assert [match and match[1] for match in told] == ["1", "2", "3", "4"]
    assert [match and match[2] != "0:00:00" for match in told] == [True, True, True, False]
