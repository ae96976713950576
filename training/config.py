"""TrainConfig: everything that decides a training run, read from a TOML file."""

import difflib
import math
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from hashstagram.model import ModelConfig
from hashstagram.transforms import TransformConfig
from training.harrison import DataError
from training.photoset import Split

LossName = Literal["bce", "softmax", "asymmetric"]
MixedPrecision = Literal["no", "bf16", "fp16"]


@dataclass(frozen=True)
class LossConfig:
    """What is minimised; see training.loss.

    Args:
        name: "bce" for binary cross entropy, a tag at a time; "softmax" for cross entropy against
            1/k for each of the photo's k tags; "asymmetric" for BCE that plays down easy
            negatives. Serving applies the sigmoid or the softmax that belongs to it.
        unknown_weight: loss weight of tags outside a photo's own set, taken as negatives;
            0 masks them.
        label_smoothing: share of a photo's truth that is spread over all tags that its set knows.
        gamma_neg: asymmetric: how fast the weight of a negative falls as it becomes easier.
        gamma_pos: asymmetric: the same for positives.
        clip: asymmetric: a negative with a score below this counts nothing.
        keep_classes: above 0, the network goes on telling apart the ImageNet classes that its
            weights were trained on, at this weight, and tags of training/classes.toml are read
            off them.
        describe: above 0, the network learns to say the words that people described photos
            with, at this weight, and a tag is the more true, the more sentences say it; it
            forgets the words in the end. See training.descriptions.
    """

    name: LossName = "bce"
    unknown_weight: float = 0.0
    label_smoothing: float = 0.0
    gamma_neg: float = 4.0
    gamma_pos: float = 0.0
    clip: float = 0.05
    keep_classes: float = 0.0
    describe: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a loss that nothing implements."""
        _one_of("loss.name", self.name, LossName)

    @property
    def activation(self) -> Literal["sigmoid", "softmax"]:
        """What turns logits into scores, as they were trained."""
        return "softmax" if self.name == "softmax" else "sigmoid"


@dataclass(frozen=True)
class AugmentConfig:
    """How a photo is changed at random each time that it is trained on.

    Args:
        scale: smallest and largest share of the photo's area in a random crop.
        flip: how often it is mirrored, from 0 to 1.
        color_jitter: brightness, contrast and saturation vary by at most this share.
        trivial_augment: one random change of colour or shape more (Müller, Hutter 2021,
            arXiv 2103.10158).
        erasing: how often a random rectangle is blanked (Zhong et al. 2017, arXiv 1708.04896).
    """

    scale: tuple[float, float] = (0.4, 1.0)
    flip: float = 0.5
    color_jitter: float = 0.2
    trivial_augment: bool = False
    erasing: float = 0.0


@dataclass(frozen=True)
class HeadConfig:
    """Stage one: a linear head over the frozen backbone's features.

    Args:
        epochs: passes over the features, which are computed once.
        batch_size: photos a step.
        lr: peak learning rate; it falls to zero along a cosine.
        weight_decay: AdamW's.
        views: how many pictures of each photo are kept as features: as it is served, then
            mirrored, then augmented. An epoch draws one of them for each photo.
    """

    epochs: int = 30
    batch_size: int = 256
    lr: float = 2e-3
    weight_decay: float = 1e-2
    views: int = 1


@dataclass(frozen=True)
class FinetuneConfig:
    """Stage two: all layers, from stage one's head onwards.

    Args:
        epochs: passes over the photos; 0 leaves the backbone as it came.
        batch_size: photos a step at most, over all processes together.
        micro_batch_size: photos that go through the network at once in one process; gradients
            are accumulated over a step. 0 takes as many as fit into memory.
        mixed_precision: "bf16" or "fp16" where the hardware is fast at it.
        input_size: side of the random crops; smaller than what is served, as a random crop
            makes things look larger (Touvron et al. 2019, arXiv 1906.06423), and faster.
        lr: peak learning rate of the head, after a warm-up of 5 % of the steps.
        backbone_lr_scale: the backbone's learning rate as a share of the head's.
        weight_decay: AdamW's.
        ema_decay: the weights that are kept are a running average with this decay a step.
        freeze_batch_norm: keep the statistics that the weights came with; right for small
            batches, wrong for a network that starts from nothing.
        frozen: layers that stay as they came, by their names: a network's first ones take most
            of the time and know little of what photos show.
        views: how many augmented pictures of each photo are kept as the frozen layers see them,
            which then have to be the first ones; an epoch draws one of them for each photo. 0
            runs all layers on a new picture each time.
        shares: of which sets an epoch takes only a share, drawn anew each time: a set's name,
            and from 0 to 1.
    """

    epochs: int = 0
    batch_size: int = 32
    micro_batch_size: int = 0
    mixed_precision: MixedPrecision = "no"
    input_size: int = 160
    lr: float = 1e-3
    backbone_lr_scale: float = 0.3
    weight_decay: float = 1e-2
    ema_decay: float = 0.998
    freeze_batch_norm: bool = True
    frozen: tuple[str, ...] = ()
    views: int = 0
    shares: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a precision that does not exist."""
        _one_of("finetune.mixed_precision", self.mixed_precision, MixedPrecision)

    def steps(self, photos: int) -> int:
        """The steps of an epoch of so many photos; the batches are as equal as can be."""
        return math.ceil(photos / self.batch_size)


@dataclass(frozen=True)
class TuningConfig:
    """What is fitted on the validation photos once the network is trained.

    Args:
        interpolate: share of the weights before stage two in those that are kept; above 0 what
            the backbone knew of other photos is lost less (WiSE-FT, Wortsman et al. 2022,
            arXiv 2109.01903).
        metric: what the choice is made by: one of training.tuning's METRICS.
        weights: neighbours' shares in a score to choose from; see NeighboursConfig.
        balances: how far rare tags are favoured, to choose from: the exponent of the inverse of
            a tag's frequency (logit adjustment, Menon et al. 2021, arXiv 2007.07314).
        k: neighbours that vote.
        sharpness: of their votes.
        dims: of the neighbours' index.
        abstain_below: see Calibration.
        index_validation: the validation photos join the neighbours once everything is chosen.
    """

    interpolate: float = 0.0
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
        max_tags: size of the vocabulary at most.
        min_count: photos that a tag must have.
        seed: of everything random; 0 or more.
        checkpoint_minutes: how much work a kill may cost.
        transform: how photos become inputs.
        loss: what is minimised.
        augment: how photos vary.
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
    max_tags: int = 1000
    min_count: int = 1
    seed: int = 0
    checkpoint_minutes: float = 5.0
    transform: TransformConfig = field(default_factory=TransformConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
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
            given: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
            _refuse_unknown(cls, given)
            for name, kind in _SECTIONS.items():
                section = given.get(name, {})
                _refuse_unknown(kind, section, f"[{name}] ")
                given[name] = kind(**section)
            return cls(**given)
        except FileNotFoundError as err:
            raise DataError(f"there is no file {path}") from err
        except (OSError, TypeError, tomllib.TOMLDecodeError) as err:
            raise DataError(f"{path} is not a training configuration: {err}") from err
        except ValueError as err:
            raise DataError(f"{path}: {err}") from err


_SECTIONS: dict[str, Any] = {
    "transform": TransformConfig,
    "loss": LossConfig,
    "augment": AugmentConfig,
    "head": HeadConfig,
    "finetune": FinetuneConfig,
    "tuning": TuningConfig,
}


def _refuse_unknown(kind: Any, given: dict[str, Any], where: str = "the top level ") -> None:
    names = [each.name for each in fields(kind)]
    for name in sorted(set(given) - set(names)):
        near = difflib.get_close_matches(name, names, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise ValueError(f'{where}has no field "{name}"{hint}')


def _one_of(field_name: str, value: str, choices: Any) -> None:
    if value not in get_args(choices):
        raise ValueError(f"{field_name} is one of {get_args(choices)}, not {value!r}")
