"""The settings that a sweep tries, and how they get into an archive."""

from pathlib import Path

import pytest
import yaml

from benchmarks.sweep import CONFIG, Outcome, Settings, combinations, with_settings
from serving.archive import check_archive
from tests.test_build_mar import build


def test_no_combination_leaves_a_core_idle_or_shares_it_among_many() -> None:
    tried = combinations(2, quick=True)
    assert {(s.workers, s.threads) for s in tried} == {(1, 2), (2, 1), (2, 2)}
    assert len(combinations(2, quick=False)) > len(tried) == len(set(tried))


def test_the_archive_gets_the_settings_and_is_still_one_to_serve(
    bundle_dir: Path, tmp_path: Path
) -> None:
    assert build(bundle_dir, tmp_path / "x.mar").returncode == 0
    made = with_settings(tmp_path / "x.mar", Settings(2, 1, 4, 3), tmp_path / "swept")
    check_archive(made)
    text = Settings(2, 1, 4, 3).within(CONFIG.read_text())
    told, before = yaml.safe_load(text), yaml.safe_load(CONFIG.read_text())
    assert (told["minWorkers"], told["batchSize"], told["maxBatchDelay"]) == (2, 4, 3)
    assert told["handler"]["threads"] == 1
    assert told.keys() == before.keys()
    assert text.count("#") == CONFIG.read_text().count("#")


def test_errors_make_a_combination_worthless() -> None:
    assert Outcome((2.0, 4.0, 8.0), errors=0).merit == pytest.approx(4)
    assert Outcome((2.0, 4.0, 8.0), errors=1).merit == 0
