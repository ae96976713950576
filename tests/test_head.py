import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import head as benchmark
from training.config import HeadConfig, LossConfig, LossName, TrainConfig
from training.head import fit_head


def fitted(config: TrainConfig, features: np.ndarray, targets: torch.Tensor) -> nn.Linear:
    torch.manual_seed(0)
    head = nn.Linear(features.shape[2], targets.shape[1])
    losses = fit_head(config, nn.Sequential(head), features, targets)
    assert len(losses) == config.head.epochs
    assert losses[-1] < losses[0]
    return head


@pytest.mark.parametrize("loss", ["bce", "softmax", "asymmetric"])
def test_it_learns_what_the_features_tell(loss: LossName) -> None:
    config = TrainConfig(
        "head",
        loss=LossConfig(loss),
        head=HeadConfig(epochs=40, batch_size=32, lr=0.05),
    )
    classes = torch.arange(200) % 4
    targets = nn.functional.one_hot(classes).half()
    noise = torch.randn(200, 8, generator=torch.Generator().manual_seed(1))
    features = noise + 4 * nn.functional.one_hot(classes, 8)
    head = fitted(config, features[None].half().numpy(), targets)
    with torch.inference_mode():
        assert (head(features).argmax(dim=1) == classes).float().mean() > 0.95


def test_every_view_is_drawn() -> None:
    config = TrainConfig("head", head=HeadConfig(epochs=30, batch_size=16, lr=0.05, views=2))
    features = np.zeros((2, 64, 2), dtype=np.float16)
    features[0, :, 0] = features[1, :, 1] = 1  # each view has a feature of its own
    head = fitted(config, features, torch.ones(64, 1, dtype=torch.half))
    assert head.weight.min() > 1


def test_the_benchmark_measures_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--photos", "300", "--tags", "20", "--width", "8"]) == 0
    assert "peak memory" in capsys.readouterr().out
