"""Graph: a bundle's whole way from pixels to scores as one OpenVINO model, traced from PyTorch's.

It is data, in two files: layers in XML, weights beside it. A worker runs it without PyTorch.

Run: python -m hashstagram.graph BUNDLE OUT, which writes what goes into an archive: the bundle in
single precision, so that workers can share the weights, with its graph.
"""

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from hashstagram.bundle import Bundle
from hashstagram.checksums import write_checksums
from hashstagram.eight_bits import OUTSIDE, quantise
from hashstagram.errors import InvalidBundleError
from hashstagram.files import FILES, GRAPH
from hashstagram.recommender import Recommender
from hashstagram.silent import openvino
from hashstagram.transforms import normalised

logger = logging.getLogger(__name__)


class _Scorer(nn.Module):
    """Pixels (N, S, S, 3) to scores (N, tags), with all steps between."""

    def __init__(self, recommender: Recommender) -> None:
        super().__init__()
        self.backbone = recommender.backbone  # named here, so that their layers are in the trace
        self.head = recommender.head
        self.recommender = recommender

    def forward(self, pixels: Tensor) -> Tensor:
        inputs = normalised(pixels, self.recommender.bundle.config.transform)
        return self.recommender.scores(inputs)


def build_graph(bundle: Bundle) -> openvino.Model:
    """The graph for batches of any size, in the bundle's precision.

    Raises:
        RuntimeError: the network does something that OpenVINO cannot.
    """
    size = bundle.config.transform.input_size
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    graph = trace(_Scorer(Recommender(bundle)).eval(), example)
    graph.reshape([-1, size, size, 3])
    _name(graph)
    return graph


def trace(module: nn.Module, example: Tensor) -> openvino.Model:
    """Any module in evaluation mode as a graph, traced on an example.

    Raises:
        RuntimeError: it does something that OpenVINO cannot.
    """
    from openvino._offline_transformations import apply_moc_transformations  # after silent
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    module(example)  # what is cached between calls is no part of the trace then
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, about sizes that do not change here
        traced = torch.jit.trace(module, example, check_trace=False)  # type: ignore[no-untyped-call]
        frontend = openvino.frontend.FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced)  # which must outlive the conversion
        graph: openvino.Model = frontend.convert(frontend.load(decoder))
    apply_moc_transformations(graph, cf=True)  # as OpenVINO's own converter does: batch norms go
    return graph


def _name(graph: openvino.Model) -> None:
    """Names that are the same each time: OpenVINO counts what it makes itself."""
    for number, operation in enumerate(graph.get_ordered_ops()):
        if not operation.get_friendly_name().startswith(("__module", OUTSIDE)):
            operation.set_friendly_name(f"{operation.get_type_name()}.{number}")


def served_graph(bundle: Bundle) -> openvino.Model:
    """The graph as it was chosen to be for this bundle: in eight bits or not.

    Raises:
        RuntimeError: the network does something that OpenVINO cannot.
    """
    graph = build_graph(bundle)
    if bundle.config.engine.chosen == "int8":
        try:
            quantise(graph, bundle.config.engine.ranges)
        except RuntimeError as err:
            logger.warning("not in eight bits, optimize it again: %s", err)
    return graph


def save_graph(graph: openvino.Model, directory: Path) -> None:
    """Write the two files; weights in single precision go into half, as a bundle's do."""
    openvino.save_model(graph, directory / GRAPH, compress_to_fp16=True)


def expand(directory: Path, out: Path) -> None:
    """Write a bundle as workers use it: see above.

    A network that OpenVINO cannot run, or that runs faster in PyTorch, goes without a graph.

    Raises:
        InvalidBundleError: the bundle is incomplete, changed or inconsistent.
    """
    bundle = Bundle.load(directory)
    bundle.save(out)
    if bundle.config.engine.chosen != "pytorch":
        try:
            save_graph(served_graph(bundle), out)
        except RuntimeError as err:
            logger.warning("no graph, PyTorch will run the network: %s", err)
    write_checksums(out, FILES)


def main(argv: Sequence[str] | None = None) -> int:
    """Expand one bundle; exit 1 with a sentence on stderr when it is not sound."""
    parser = argparse.ArgumentParser(description="Write a bundle as it goes into an archive.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    try:
        expand(args.bundle, args.out)
    except (InvalidBundleError, OSError) as err:
        print(f"refused: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
