"""Heat maps: where in a photo a network sees what it recommends, as a picture to lay over it."""

import copy
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from io import BytesIO

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hashstagram.branches import Branches
from hashstagram.transforms import TransformConfig, crop_box

SIDE = 128  # of an overlay's longer side, in pixels; the map itself has some 7 × 7 cells

# Clear where the network sees nothing, then yellow, then red; a third of the photo shines through.
_COLOURS = bytes(
    channel for heat in range(256) for channel in (255, 255 - heat, 0, round(heat * 0.67))
)


class GradCam:
    """Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391) on the last feature map of a network.

    Args:
        model: the network. It is neither copied nor changed.
        input_size: side of its square input.
    """

    def __init__(self, model: nn.Module, input_size: int) -> None:
        self.network = _without_gradients(model)
        image = torch.zeros(1, 3, input_size, input_size, device=next(model.parameters()).device)
        branches = self.network.branches if isinstance(self.network, Branches) else [self.network]
        maps = [(branch, _feature_map(branch, image)) for branch in branches]
        self._layers = [layer for _, layer in maps if layer]
        self._ends = [layer or branch for branch, layer in maps]

    @torch.no_grad()
    def __call__(self, image: Tensor, outputs: Sequence[Sequence[int]]) -> Tensor | None:
        """One map for each group of outputs: (groups, S, S), from 0 to 1.

        A map is zero everywhere when nothing in the photo speaks for its outputs. Of several
        networks side by side the maps are added: each is its share of the same logit.

        Args:
            image: the network's input (3, S, S).
            outputs: the logits that count as one each; several, as a softmax adds them up.

        Returns:
            None for a network without convolutions, such as a vision transformer.
        """
        if not self._layers:
            return None
        # captum takes a second and 30 MB (it brings matplotlib), which only explanations cost.
        from captum.attr import LayerGradCam

        def logits(images: Tensor) -> Tensor:
            """One logit a group, each in a row of its own."""
            rows = self.network(images)
            return torch.stack(
                [row[list(group)].logsumexp(0) for row, group in zip(rows, outputs, strict=True)]
            )

        size = tuple(image.shape[1:])
        heat = torch.zeros(len(outputs), 1, *size, device=image.device)
        with ExitStack() as hooks:
            for end in self._ends:
                hooks.enter_context(end.register_forward_hook(_repeat(len(outputs))))
            for layer in self._layers:
                share = LayerGradCam(logits, layer).attribute(image.unsqueeze(0))  # (groups, 1, …)
                # A cell's share of the logit, per area: the networks' grids differ.
                heat += interpolate(share * share[0].numel(), size, mode="bilinear")
        heat = heat.relu().squeeze(1)
        return heat / heat.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(heat.dtype).tiny)


def overlay(heat: Tensor, size: tuple[int, int], config: TransformConfig) -> bytes:
    """A map as a PNG with transparency, to stretch over the whole upright photo.

    It has the photo's proportions; what the network did not see of the photo is clear.

    Args:
        heat: (S, S), from 0 to 1, of the part that the network saw.
        size: the upright photo's width and height.
        config: how the photo became the network's input.
    """
    scale = SIDE / max(size)
    width, height = (max(1, round(length * scale)) for length in size)
    left, top, right, bottom = (round(edge) for edge in crop_box(width, height, config))
    seen = Image.fromarray((heat * 255).round().byte().cpu().numpy())
    picture = Image.new("P", (width, height))
    picture.paste(seen.resize((max(1, right - left), max(1, bottom - top))), (left, top))
    picture.putpalette(_COLOURS, "RGBA")
    buffer = BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _repeat(times: int) -> Callable[[nn.Module, object, Tensor], Tensor]:
    """A hook after which a network goes on as if it had been given the photo so many times.

    Each group of outputs has its own gradients then, at the price of one pass.
    """

    def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return output.expand(times, *output.shape[1:])

    return hook


def _without_gradients(model: nn.Module) -> nn.Module:
    """A twin of the network with the same weights, for whose sake autograd keeps nothing."""
    frozen = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    return copy.deepcopy(model, memo=frozen | {id(buffer): buffer for buffer in model.buffers()})


@torch.no_grad()
def _feature_map(network: nn.Module, image: Tensor) -> nn.Module | None:
    """The module that convolutions end in: the last one whose output still is a picture.

    A network with one convolution only cuts the photo into patches with it.
    """
    if sum(isinstance(module, nn.Conv2d) for module in network.modules()) < 2:
        return None
    called: list[nn.Module] = []

    def note(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output[0, 0].numel() > 1:
            called.append(module)

    convolutional = [
        module
        for module in network.modules()
        if any(isinstance(part, nn.Conv2d) for part in module.modules())
    ]
    hooks = [module.register_forward_hook(note) for module in convolutional]
    network(image)
    for hook in hooks:
        hook.remove()
    return called[-1] if called else None
