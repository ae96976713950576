from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from training.config import LossConfig
from training.dataset import UNSURE
from training.loss import partial_loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 3.0], [0.0, 1.0, -2.0, 0.3]])
TARGETS = torch.tensor([[1.0, 0.0, -1.0, -1.0], [0.0, 1.0, 1.0, 0.0]])
LOSSES = [LossConfig("bce"), LossConfig("softmax"), LossConfig("asymmetric", gamma_neg=1, clip=0)]

every_loss = pytest.mark.parametrize("config", LOSSES, ids=lambda config: config.name)


def mean_loss(config: LossConfig, **changes: float) -> torch.Tensor:
    return partial_loss(LOGITS, TARGETS, replace(config, **changes)).mean()


@every_loss
def test_masked_tags_have_no_gradient(config: LossConfig) -> None:
    logits = LOGITS.clone().requires_grad_()
    partial_loss(logits, TARGETS, config).mean().backward()
    assert logits.grad is not None
    assert logits.grad[0, 2:].abs().max() < 1e-6
    assert logits.grad[0, :2].abs().min() > 1e-3


@pytest.mark.parametrize("config", LOSSES[:2], ids=lambda config: config.name)
def test_full_weight_is_the_plain_loss(config: LossConfig) -> None:
    truth = TARGETS.clamp(min=0)
    if config.name == "bce":
        plain = functional.binary_cross_entropy_with_logits(LOGITS, truth, reduction="sum") / 2
    else:
        plain = functional.cross_entropy(LOGITS, truth / truth.sum(dim=1, keepdim=True))
    assert float(mean_loss(config, unknown_weight=1.0)) == pytest.approx(float(plain), rel=1e-5)


@every_loss
def test_weight_lies_in_between(config: LossConfig) -> None:
    losses = [float(mean_loss(config, unknown_weight=weight)) for weight in (0.0, 0.1, 1.0)]
    assert losses == sorted(losses)
    assert losses[0] < losses[1] < losses[2]


@every_loss
def test_a_photo_counts_by_itself(config: LossConfig) -> None:
    together = partial_loss(LOGITS, TARGETS, config)
    alone = torch.cat([partial_loss(LOGITS[i : i + 1], TARGETS[i : i + 1], config) for i in (0, 1)])
    assert together.shape == (2,)
    torch.testing.assert_close(together, alone)


def test_asymmetric_without_asymmetry_is_bce() -> None:
    plain = LossConfig("asymmetric", gamma_neg=0, gamma_pos=0, clip=0)
    torch.testing.assert_close(
        partial_loss(LOGITS, TARGETS, plain), partial_loss(LOGITS, TARGETS, LossConfig("bce"))
    )


def test_asymmetric_is_the_formula_of_the_paper() -> None:
    config = LossConfig("asymmetric", gamma_neg=3, gamma_pos=1, clip=0.2)
    logits, targets = torch.tensor([[0.4, 1.1]]), torch.tensor([[1.0, 0.0]])
    yes, no = logits.sigmoid()[0].tolist()
    shifted = torch.tensor(no - 0.2)
    expected = -(1 - yes) * torch.tensor(yes).log() - shifted**3 * (1 - shifted).log()
    assert float(partial_loss(logits, targets, config)) == pytest.approx(float(expected), rel=1e-5)


def test_an_easy_negative_counts_nothing_and_extremes_stay_finite() -> None:
    config = LossConfig("asymmetric")
    easy = torch.tensor([[-4.0, 5.0]], requires_grad=True)  # sigmoid(-4) = 0.018 < clip
    partial_loss(easy, torch.tensor([[0.0, 1.0]]), config).sum().backward()
    assert easy.grad is not None
    assert easy.grad[0, 0] == 0
    extreme = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    partial_loss(extreme, torch.tensor([[1.0, 0.0]]), config).sum().backward()
    assert extreme.grad is not None
    assert extreme.grad.isfinite().all()


@every_loss
def test_smoothing_spreads_the_truth_over_the_known_tags(config: LossConfig) -> None:
    smoothed = torch.tensor([[0.95, 0.05, -1.0, -1.0], [0.05, 0.95, 0.95, 0.05]])
    torch.testing.assert_close(
        partial_loss(LOGITS, TARGETS, replace(config, label_smoothing=0.1)),
        partial_loss(LOGITS, smoothed, config),
    )


@every_loss
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_unsure_tag_counts_nothing_whatever_unknown_ones_count(
    config: LossConfig, smoothing: float
) -> None:
    config = replace(config, unknown_weight=0.5, label_smoothing=smoothing)
    targets = TARGETS.clone()
    targets[:, 3] = UNSURE
    logits = LOGITS.clone()
    logits[:, 3] = 30.0  # as sure of it as can be
    torch.testing.assert_close(
        partial_loss(logits, targets, config),
        partial_loss(LOGITS[:, :3], TARGETS[:, :3], config),
    )


def test_a_soft_target_is_met_best_by_its_own_score() -> None:
    logits = torch.zeros(1, 1, requires_grad=True)
    partial_loss(logits, torch.tensor([[0.5]]), LossConfig("bce")).sum().backward()
    assert logits.grad is not None
    assert logits.grad.abs() < 1e-6


def test_an_unknown_loss_is_refused() -> None:
    with pytest.raises(ValueError, match=r"loss\.name is one of"):
        LossConfig("hinge")  # type: ignore[arg-type]
