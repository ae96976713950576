"""Eight bits: a graph whose layers compute in whole numbers.

What the values between layers range over is found with photos, by training.optimize, and travels in
the bundle; weights are turned anew for each archive. See Jacob et al. 2018, arXiv 1712.05877.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hashstagram.silent import openvino  # before OpenVINO's own parts

# isort: split
from openvino import opset13
from openvino._offline_transformations import compress_quantize_weights_transformation

Ranges = Mapping[str, tuple[float, float]]
Bound = npt.NDArray[np.float32] | np.float32

_LEVELS = 256  # of activations
_WEIGHT_LEVELS = 255  # symmetric about zero
# CPUs without VNNI add two products of eight bits in sixteen, which overflows: weights use half of
# their levels, as NNCF's overflow_fix does.
_HEADROOM = 2.0
_LAYERS = ("Convolution", "MatMul")
_KEEPING = ("Pad", "MaxPool", "Reshape", "Transpose", "Concat", "Squeeze")  # values as they were
_IN_FLOATS = "GroupConvolution"  # depthwise: OpenVINO runs it in single precision on AVX2 anyway
OUTSIDE = "aten::"  # how names begin of what is no layer of the network: neighbours, calibration


def quantise(graph: openvino.Model, ranges: Ranges) -> None:
    """Have a graph's layers compute in eight bits.

    Args:
        graph: in single precision; it is changed.
        ranges: name of an operation to the least and the greatest value that it gives.

    Raises:
        RuntimeError: the graph has no operation of such a name; it is as it was.
    """
    operations = {each.get_friendly_name(): each for each in graph.get_ordered_ops()}
    if missing := ranges.keys() - operations.keys():
        raise RuntimeError(f"the graph has no operation {min(missing)!r}")
    for name, (low, high) in ranges.items():
        _round_values(operations[name].output(0), np.float32(low), np.float32(high))
    for name, operation in operations.items():
        is_layer = operation.get_type_name() in _LAYERS and not name.startswith(OUTSIDE)
        if is_layer and _is_rounded(operation.input_value(0)):
            _round_weights(operation)
    compress_quantize_weights_transformation(graph)


def _round_values(output: openvino.Output, low: Bound, high: Bound) -> None:
    consumers = output.get_target_inputs()
    rounded = _rounded(output, low, high, _LEVELS)
    for consumer in consumers:
        node = consumer.get_node()
        inside = not node.get_friendly_name().startswith(OUTSIDE)
        if inside and node.get_type_name() != _IN_FLOATS:
            consumer.replace_source_output(rounded)


def _round_weights(layer: openvino.Node) -> None:
    """Each of a layer's outputs has a scale of its own."""
    weights = layer.input_value(1)
    if weights.get_node().get_type_name() != "Constant":
        return
    values = weights.get_node().data
    others = tuple(range(1, values.ndim))
    bound = _HEADROOM * np.abs(values).max(others, keepdims=True).clip(1e-9)
    layer.input(1).replace_source_output(_rounded(weights, -bound, bound, _WEIGHT_LEVELS))


def _is_rounded(output: openvino.Output) -> bool:
    node = output.get_node()
    while node.get_type_name() in _KEEPING:
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "FakeQuantize")


def _rounded(output: openvino.Output, low: Bound, high: Bound, levels: int) -> openvino.Output:
    """To OpenVINO a layer between two of these is one in eight bits."""
    return opset13.fake_quantize(output, low, high, low, high, levels).output(0)
