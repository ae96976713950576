import pytest
import torch
from torch.nn import functional

from training.loss import partial_loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 3.0], [0.0, 1.0, -2.0, 0.3]])
TARGETS = torch.tensor([[1.0, 0.0, -1.0, -1.0], [0.0, 1.0, 1.0, 0.0]])
ACTIVATIONS = ["sigmoid", "softmax"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_masked_tags_have_no_gradient(activation: str) -> None:
    logits = LOGITS.clone().requires_grad_()
    partial_loss(logits, TARGETS, activation=activation, unknown_weight=0.0).backward()
    assert logits.grad is not None
    assert logits.grad[0, 2:].abs().max() < 1e-6
    assert logits.grad[0, :2].abs().min() > 1e-3


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_full_weight_is_the_plain_loss(activation: str) -> None:
    loss = partial_loss(LOGITS, TARGETS, activation=activation, unknown_weight=1.0)
    truth = TARGETS.clamp(min=0)
    if activation == "sigmoid":
        plain = functional.binary_cross_entropy_with_logits(LOGITS, truth, reduction="sum") / 2
    else:
        plain = functional.cross_entropy(LOGITS, truth / truth.sum(dim=1, keepdim=True))
    assert loss == pytest.approx(float(plain), rel=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_weight_lies_in_between(activation: str) -> None:
    losses = [
        float(partial_loss(LOGITS, TARGETS, activation=activation, unknown_weight=weight))
        for weight in (0.0, 0.1, 1.0)
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[1] < losses[2]
