"""HashStagram: TorchServe with our handler and a bundle's archive, without the front.

As it is shipped, but for the number of workers, and callers need no key: the peers have none.
"""

import os
from pathlib import Path
from zipfile import ZipFile

import yaml

from benchmarks.peers.setting import Setting
from benchmarks.repack import repack
from serving.archive import SETTINGS
from serving.instance import Instance


def with_workers(packed: Path, workers: int, folder: Path) -> Path:
    """The archive itself, or a copy of it that runs in so many workers."""
    with ZipFile(packed) as shipped:
        settings = yaml.safe_load(shipped.read(SETTINGS))
    if settings["minWorkers"] == workers:
        return packed
    changed = yaml.safe_dump(settings | {"minWorkers": workers}).encode()
    return repack(packed, folder / packed.name, {SETTINGS: changed})


if __name__ == "__main__":
    setting = Setting.from_environment()
    # The handler shares these among its workers.
    os.environ["OMP_NUM_THREADS"] = str(setting.workers * setting.threads)
    instance = Instance.prepare(
        with_workers(setting.archive, setting.workers, setting.folder),
        setting.folder / "run",
        settings={
            "inference_address": f"http://127.0.0.1:{setting.port}",
            "disable_token_authorization": "true",
        },
    )
    instance.execute()
