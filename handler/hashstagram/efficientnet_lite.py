"""EfficientNet-Lite: torchvision's EfficientNet without squeeze and excitation, with ReLU6.

The networks of TensorFlow's EfficientNet-Lite (Tan and Le 2019, arXiv 1905.11946, and
github.com/tensorflow/tpu, efficientnet/lite): stem, head and the depth of the first and the last
stage do not grow with the network.
"""

from functools import partial

from torch import nn
from torchvision.models.efficientnet import EfficientNet, MBConv, MBConvConfig

# Width and depth of each network, times the first one's.
EFFICIENTNET_LITE = {
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}

# Expansion, kernel, stride, channels in and out, blocks.
_STAGES = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)


def efficientnet_lite(architecture: str, num_classes: int) -> nn.Module:
    """One of EFFICIENTNET_LITE with fresh weights: (N, 3, S, S) to (N, num_classes)."""
    width, depth = EFFICIENTNET_LITE[architecture]
    block = partial(MBConv, se_layer=_no_squeeze)
    stages = [
        MBConvConfig(*stage, width, 1.0 if stage in (_STAGES[0], _STAGES[-1]) else depth, block)
        for stage in _STAGES
    ]
    network: nn.Module = EfficientNet(
        stages,
        dropout=0.2,
        num_classes=num_classes,
        norm_layer=partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01),
        last_channel=1280,
    )
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.SiLU):
                setattr(module, name, nn.ReLU6(inplace=True))
    return network


def _no_squeeze(*_: object, **__: object) -> nn.Module:
    return nn.Identity()
