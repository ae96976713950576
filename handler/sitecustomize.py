"""Run by Python itself at the start of TorchServe's workers, whose path begins with the archive.

TorchServe's worker imports PyTorch to see whether an answer is a tensor, which ours never is. It
takes 2 seconds and 300 MB in each worker, hence it is loaded when somebody first uses it.
"""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader, find_spec


class Postponed:
    """Finds one module for the first who imports it, and has it loaded by the first who uses it.

    Args:
        name: the module's.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """What Python's import asks of each of sys.meta_path."""
        if name != self.name:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


# A checkout's other commands have this folder on their path too.
if any(argument.endswith("model_service_worker.py") for argument in sys.orig_argv):
    sys.meta_path.insert(0, Postponed("torch"))
