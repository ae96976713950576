"""TrainConfig: everything that decides a training run, read from a TOML file."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hashstagram.model import ModelConfig
from hashstagram.transforms import TransformConfig
from training.harrison import DataError
from training.photoset import Split


@dataclass(frozen=True)
class HeadConfig:
    """Stage one: a linear head over the frozen backbone's embeddings.

    Args:
        epochs: passes over the embeddings, which are computed once.
        batch_size: embeddings a step.
        lr: peak learning rate; it falls to zero along a cosine.
        weight_decay: AdamW's.
    """

    epochs: int = 30
    batch_size: int = 256
    lr: float = 2e-3
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class FinetuneConfig:
    """Stage two: all layers, from stage one's head onwards.

    Args:
        epochs: passes over the photos; 0 leaves the backbone as it came.
        batch_size: photos a step.
        input_size: side of the random crops; smaller than what is served, as a random crop
            makes things look larger (Touvron et al. 2019, arXiv 1906.06423), and faster.
        lr: peak learning rate of the head, after a warm-up of 5 % of the steps.
        backbone_lr_scale: the backbone's learning rate as a share of the head's.
        weight_decay: AdamW's.
        ema_decay: the weights that are kept are a running average with this decay a step.
        scale: smallest and largest share of a photo's area in a random crop.
        freeze_batch_norm: keep the statistics that the weights came with; right for small
            batches, wrong for a network that starts from nothing.
    """

    epochs: int = 0
    batch_size: int = 32
    input_size: int = 160
    lr: float = 1e-3
    backbone_lr_scale: float = 0.3
    weight_decay: float = 1e-2
    ema_decay: float = 0.998
    scale: tuple[float, float] = (0.4, 1.0)
    freeze_batch_norm: bool = True


@dataclass(frozen=True)
class TuningConfig:
    """What is fitted on the validation photos once the network is trained.

    Args:
        metric: what the choice is made by: a figure of training.evaluate's report.
        weights: neighbours' shares in a score to choose from; see NeighboursConfig.
        balances: how far rare tags are favoured, to choose from: the exponent of the inverse of
            a tag's frequency (logit adjustment, Menon et al. 2021, arXiv 2007.07314).
        k: neighbours that vote.
        sharpness: of their votes.
        dims: of the neighbours' index.
        abstain_below: see Calibration.
        index_validation: the validation photos join the neighbours once everything is chosen.
    """

    metric: str = "recall_at_5"
    weights: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    balances: tuple[float, ...] = (0.0,)
    k: int = 30
    sharpness: float = 10.0
    dims: int = 128
    abstain_below: float = 0.2
    index_validation: bool = True


@dataclass(frozen=True)
class TrainConfig:
    """A training run.

    Args:
        name: the model's name.
        architecture: a network, or several joined by "+"; see hashstagram.model.ModelConfig,
            also for `padding` and `hidden`.
        weights: what to start from, for each network or one for all: "none", a name such as
            "DEFAULT", a file, or a URL with its SHA-256; see training.sources.find_source.
            Those given on the command line go before it.
        activation: what the loss trains and serving applies: one sigmoid a tag, or one softmax.
        max_tags: size of the vocabulary at most.
        min_count: photos that a tag must have.
        unknown_weight: loss weight of tags outside a photo's own set, taken as negatives;
            0 masks them.
        seed: of everything random.
        checkpoint_minutes: how much work a kill may cost.
        transform: how photos become inputs.
        head: stage one.
        finetune: stage two.
        tuning: what comes after them.
        train_splits: the splits to train on; "val" is what choices are made by.
    """

    name: str
    architecture: str = "mobilenet_v2"
    padding: Literal["symmetric", "tensorflow"] = "symmetric"
    hidden: int | None = None
    weights: str | list[str] = "DEFAULT"
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    max_tags: int = 1000
    min_count: int = 1
    unknown_weight: float = 0.0
    seed: int = 0
    checkpoint_minutes: float = 5.0
    transform: TransformConfig = field(default_factory=TransformConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    tuning: TuningConfig = field(default_factory=TuningConfig)
    train_splits: tuple[Split, ...] = ("train",)

    def __post_init__(self) -> None:
        """Refuse a network that does not exist, or sizes that it cannot take."""
        size = self.model(1).image_size
        if size and self.finetune.epochs and self.finetune.input_size != size:
            raise ValueError(
                "a vision transformer takes one input size: [finetune] input_size has to be "
                f"{size}, as in [transform]"
            )

    def model(self, num_classes: int) -> ModelConfig:
        """The network for so many tags."""
        size = self.transform.input_size if "vit_" in self.architecture else None
        return ModelConfig(self.architecture, num_classes, self.padding, self.hidden, size)

    @classmethod
    def load(cls, path: Path) -> "TrainConfig":
        """Read a TOML file.

        Raises:
            DataError: it is not there, no TOML, or has a field that no configuration has.
        """
        try:
            fields: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            return cls(
                transform=TransformConfig(**fields.pop("transform", {})),
                head=HeadConfig(**fields.pop("head", {})),
                finetune=FinetuneConfig(**fields.pop("finetune", {})),
                tuning=TuningConfig(**fields.pop("tuning", {})),
                train_splits=tuple(fields.pop("train_splits", ("train",))),
                **fields,
            )
        except (OSError, ValueError, TypeError) as err:
            raise DataError(f"{path} is not a training configuration: {err}") from err
