"""Engine: what takes a batch of photos' pixels to scores, and which one a bundle gets."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hashstagram.files import GRAPH
from hashstagram.transforms import Pixels
from hashstagram.usage import Scores

if TYPE_CHECKING:
    from hashstagram.recommender import Recommender

logger = logging.getLogger(__name__)


class Engine(Protocol):
    """One of the two below.

    Args:
        told: which one, and where and how it computes, for the log.
    """

    told: str

    def scores(self, pixels: Pixels) -> Scores:
        """Photos (N, S, S, 3) to scores (N, tags) from 0 to 1."""
        ...


class GraphEngine:
    """Runs a bundle's graph in OpenVINO on the CPU, without PyTorch.

    In bfloat16 where the CPU computes in it natively, in eight bits where the graph was
    quantised, else in single precision. Not for several threads at once.

    Args:
        directory: the bundle's, with its graph.
        threads: how many it computes in.

    Raises:
        ImportError: OpenVINO is not installed.
        RuntimeError: the graph cannot be read, or not be compiled for this CPU.
    """

    def __init__(self, directory: Path, threads: int) -> None:
        from hashstagram.silent import openvino  # here: a machine without it still answers

        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # all workers would pin themselves to the first cores
        }
        compiled = openvino.Core().compile_model(directory / GRAPH, "CPU", settings)
        self._request = compiled.create_infer_request()
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.told = f"OpenVINO {openvino.get_version().split('-')[0]} on the CPU, {precision}"

    def scores(self, pixels: Pixels) -> Scores:
        """See Engine."""
        scores: Scores = self._request.infer([pixels], share_inputs=True)[0]
        return scores


class TorchEngine:
    """Runs a recommender, PyTorch's reference, on whatever device it is.

    Args:
        recommender: what answers.
    """

    def __init__(self, recommender: "Recommender") -> None:
        self.recommender = recommender
        self.told = f"PyTorch on {recommender.device}, {recommender.precision}"

    def scores(self, pixels: Pixels) -> Scores:
        """See Engine."""
        import torch

        from hashstagram.transforms import normalised

        transform = self.recommender.bundle.config.transform
        photos = torch.from_numpy(pixels).to(self.recommender.device)
        scores: Scores = self.recommender.scores(normalised(photos, transform)).numpy()
        return scores


def load_engine(directory: Path, *, device: str, precision: str, threads: int) -> Engine:
    """The bundle's graph where it has one and it loads; else PyTorch.

    Args:
        directory: the bundle's.
        device: "cpu", or a GPU, which PyTorch runs on.
        precision: "auto", or one that only PyTorch is asked for: see choose_precision.
        threads: how many it computes in on the CPU.

    Raises:
        InvalidBundleError: PyTorch does not get along with the bundle either.
        ValueError: there is no such precision.
    """
    if device == "cpu" and precision == "auto" and (directory / GRAPH).exists():
        try:
            return GraphEngine(directory, threads)
        except (ImportError, RuntimeError) as err:
            logger.warning("the graph does not run here, PyTorch does instead: %s", _line(err))
    import torch

    from hashstagram.recommender import Recommender

    torch.set_num_threads(threads)
    return TorchEngine(Recommender.from_pretrained(directory, device=device, precision=precision))


def _line(error: Exception) -> str:
    """The last line that says something: OpenVINO's first ones name its own source files."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
