"""Bundle: the folder that a trained model travels in, and the check that it is whole.

Run: python -m hashstagram.bundle DIRECTORY [--seal]
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from hashstagram.calibration import Calibration
from hashstagram.checksums import CHECKSUMS, verify_checksums, write_checksums
from hashstagram.classes import PretrainedClasses
from hashstagram.errors import InvalidBundleError
from hashstagram.files import (
    CONFIG,
    FILES,
    NEIGHBOURS,
    USAGE,
    VOCABULARY,
    WEIGHTS,
)
from hashstagram.model import ModelConfig, create_model
from hashstagram.neighbours import Neighbours, NeighboursConfig
from hashstagram.predictor import noncommercial
from hashstagram.transforms import TransformConfig
from hashstagram.usage import Usage
from hashstagram.vocabulary import Vocabulary

CARD = "README.md"


@dataclass(frozen=True)
class EngineChoice:
    """What the network is run by, and why: see training.optimize.

    Args:
        chosen: OpenVINO, in "float" (bfloat16 where the CPU has it) or in eight bits, "int8"; or
            "pytorch".
        ranges: for eight bits, name of an operation to its least and greatest value.
        measured: each candidate's figures, and what they were measured on.
    """

    chosen: Literal["float", "int8", "pytorch"] = "float"
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an engine that nothing implements."""
        if self.chosen not in ("float", "int8", "pytorch"):
            raise ValueError(f"an engine is 'float', 'int8' or 'pytorch', not {self.chosen!r}")


@dataclass(frozen=True)
class BundleConfig:
    """What config.json holds.

    Args:
        name: the model's name, as people call it.
        model: how to build the network.
        transform: how a photo becomes its input.
        activation: what turns logits into scores, as the model was trained.
        classes: what else the network tells apart, and the tags that are read off it.
        neighbours: how much training photos that look alike have a say, if at all.
        calibration: what the scores are adjusted by in the end.
        training: how it came to be: resolved training configuration, sets and versions, and the
            pretrained weights that it started from, each with its licence.
        engine: what workers run it by.
        word_threshold: the score from which on a tag counts, where evaluation is to take all such
            tags and not five; serving has no use for it.
    """

    name: str
    model: ModelConfig
    transform: TransformConfig
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    classes: PretrainedClasses | None = None
    neighbours: NeighboursConfig | None = None
    calibration: Calibration = field(default_factory=Calibration)
    training: dict[str, Any] = field(default_factory=dict)
    engine: EngineChoice = field(default_factory=EngineChoice)
    word_threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse an activation that nothing implements."""
        if self.activation not in ("sigmoid", "softmax"):
            raise ValueError(f"activation is 'sigmoid' or 'softmax', not {self.activation!r}")

    @property
    def noncommercial(self) -> list[str]:
        """The licences of pretrained weights in it that rule out commercial use (SPDX names)."""
        return noncommercial(self.training)

    @classmethod
    def load(cls, path: Path) -> "BundleConfig":
        """Read config.json.

        Raises:
            InvalidBundleError: it is missing, no JSON, or lacks or misnames a field.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            classes, voting = fields.pop("classes", None), fields.pop("neighbours", None)
            return cls(
                model=ModelConfig(**fields.pop("model")),
                transform=TransformConfig(**fields.pop("transform")),
                classes=PretrainedClasses(**classes) if classes else None,
                neighbours=NeighboursConfig(**voting) if voting else None,
                calibration=Calibration(**fields.pop("calibration", {})),
                engine=EngineChoice(**fields.pop("engine", {})),
                **fields,
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as err:
            raise InvalidBundleError(f"{path.name} is not a bundle's configuration: {err}") from err

    def save(self, path: Path) -> None:
        """Write config.json."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Bundle:
    """A model with everything that it needs to answer: configuration, vocabulary, weights.

    `neighbours` is there where the configuration says how they vote, `usage` where what is
    recommended are not the vocabulary's tags as they are.
    """

    config: BundleConfig
    vocabulary: Vocabulary
    model: nn.Module
    neighbours: Neighbours | None = None
    usage: Usage | None = None

    @property
    def hashtags(self) -> Vocabulary:
        """What is recommended."""
        return self.usage.hashtags if self.usage else self.vocabulary

    @classmethod
    def load(cls, directory: Path, *, device: str = "cpu") -> "Bundle":
        """Read a bundle in single precision, in evaluation mode.

        On the CPU, tensors that the files hold in single precision are used as they lie there:
        processes that read the same files have them in memory once.

        Raises:
            InvalidBundleError: a file is missing, is not the one that was saved, or does not fit
                the others; it says which.
        """
        config, vocabulary, model = _open(directory)
        state = model.state_dict()  # with the steps that _persistent leaves out
        state.update((k, _to(w, torch.float32)) for k, w in load_file(directory / WEIGHTS).items())
        model.load_state_dict(state, assign=True)
        model = model.eval()
        if torch.device(device).type != "cpu":  # on a CPU a copy, for little
            model = model.to(device).to(memory_format=torch.channels_last)
        neighbours = None
        if config.neighbours:
            neighbours = Neighbours.load(directory / NEIGHBOURS, len(vocabulary))
        return cls(config, vocabulary, model, neighbours, _usage(directory, vocabulary))

    def save(self, directory: Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Write all files and their SHA256SUMS into a folder that is made if need be.

        In single precision processes can share them, in half they are small. They take their
        names when all are on the disk, SHA256SUMS last: who reads a mixture is told.
        """
        part = directory / ".part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file(_weights(self.model, dtype), part / WEIGHTS)
        (part / WEIGHTS).chmod(0o644)  # safetensors leaves it to its owner alone
        if self.neighbours:
            self.neighbours.save(part / NEIGHBOURS, compact=dtype != torch.float32)
        if self.usage:
            self.usage.save(part / USAGE, self.vocabulary)
        self.config.save(part / CONFIG)
        self.vocabulary.save(part / VOCABULARY)
        write_checksums(part, FILES)
        for name in (*FILES, CHECKSUMS):
            if (part / name).exists():
                os.replace(part / name, directory / name)
            else:  # an earlier bundle's
                (directory / name).unlink(missing_ok=True)
        part.rmdir()


def check_bundle(directory: Path) -> None:
    """See that a bundle is complete, unchanged and consistent without loading its weights.

    Raises:
        InvalidBundleError: it is not; the message names the file and what is wrong with it.
    """
    _open(directory)


def _open(directory: Path) -> tuple[BundleConfig, Vocabulary, nn.Module]:
    """Configuration, vocabulary and the empty network of a bundle whose parts fit together."""
    _check_files(directory, CONFIG, VOCABULARY, WEIGHTS)
    config = BundleConfig.load(directory / CONFIG)
    if config.neighbours:
        _check_files(directory, NEIGHBOURS)
    verify_checksums(directory, FILES)
    vocabulary = Vocabulary.load(directory / VOCABULARY)
    _check_outputs(config, vocabulary)
    with _empty_parameters():
        model = create_model(config.model)
    _check_weights(directory / WEIGHTS, model)
    return config, vocabulary, model


def _check_outputs(config: BundleConfig, vocabulary: Vocabulary) -> None:
    """Each tag has an output of its own, or is read off the classes."""
    outputs, tags = config.model.num_classes, vocabulary.tags
    if config.classes:
        outputs -= config.classes.count
        tags = tags[: len(tags) - len(config.classes.tags)]
        if vocabulary.tags[len(tags) :] != tuple(config.classes.tags):
            raise InvalidBundleError(
                f"{VOCABULARY} does not end with the classes' tags of {CONFIG}"
            )
    if len(tags) != outputs:
        raise InvalidBundleError(
            f"{VOCABULARY} has {len(tags)} tags but {CONFIG} says that the model has "
            f"{outputs} outputs"
        )


def _usage(directory: Path, vocabulary: Vocabulary) -> Usage | None:
    path = directory / USAGE
    return Usage.load(path, vocabulary) if path.exists() else None


def _check_files(directory: Path, *names: str) -> None:
    for name in names:
        if not (directory / name).is_file():
            raise InvalidBundleError(f"{directory} has no {name}: it is not a complete bundle")


def _check_weights(path: Path, model: nn.Module) -> None:
    try:
        with safe_open(path, framework="pt") as weights:
            found = {key: tuple(weights.get_slice(key).get_shape()) for key in weights.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as err:
        raise InvalidBundleError(f"{path.name} is not a safetensors file: {err}") from err
    wanted = {key: tuple(weight.shape) for key, weight in _persistent(model).items()}
    wrong = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
    if wrong:
        raise InvalidBundleError(
            f"{path.name} does not fit the model that {CONFIG} describes: {len(wrong)} tensors "
            f"differ, the first is {wrong[0]} ({found.get(wrong[0], 'missing')} in the file, "
            f"{wanted.get(wrong[0], 'unknown')} in the model)"
        )


def _persistent(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict less batch norm's step counters, which inference never reads."""
    return {k: w for k, w in model.state_dict().items() if not k.endswith("num_batches_tracked")}


def _weights(model: nn.Module, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    state = _persistent(model)
    return {k: _to(w.detach().cpu(), dtype).contiguous() for k, w in state.items()}


def _to(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A weight in another precision; indices, such as a transformer's, stay integers."""
    return weight.to(dtype) if weight.is_floating_point() else weight


@contextmanager
def _empty_parameters() -> Iterator[None]:
    """Networks made here have parameters without values, which cost neither time nor memory.

    Unlike on PyTorch's "meta" device, buffers have theirs: some are in no weights file.
    """

    def empty(module: nn.Module, name: str, parameter: nn.Parameter) -> Any:
        return nn.Parameter(parameter.to("meta"))

    hook = register_module_parameter_registration_hook(empty)
    try:
        yield
    finally:
        hook.remove()


def main(argv: Sequence[str] | None = None) -> int:
    """Check one bundle; exit 1 with a sentence on stderr when it is not sound."""
    parser = argparse.ArgumentParser(description="Check that a model bundle is whole.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seal", action="store_true", help=f"write {CHECKSUMS} for what is there")
    args = parser.parse_args(argv)
    try:
        if args.seal:
            write_checksums(args.directory, FILES)
        check_bundle(args.directory)
    except (InvalidBundleError, OSError) as err:
        print(f"refused: {err}", file=sys.stderr)
        return 1
    print(f"{args.directory} is a complete bundle")
    return 0


if __name__ == "__main__":
    sys.exit(main())
