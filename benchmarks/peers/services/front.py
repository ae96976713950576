"""HashStagram as `make serve` runs it: nginx before two TorchServe instances."""

import os

from benchmarks.peers.setting import Setting
from serving.front import Front
from serving.limits import Limits

if __name__ == "__main__":
    setting = Setting.from_environment()
    os.environ.pop("OMP_NUM_THREADS")  # it shares the cores among its instances itself
    Front.start(
        setting.archive,
        setting.folder / "run",
        listen=f"127.0.0.1:{setting.port}",
        limits=Limits(rate=100_000, burst=100_000),  # one address sends everything
    )
    os.execvp("sleep", ["sleep", "infinity"])  # whoever ends this ends its children too
