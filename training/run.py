"""Run: what both stages of a training run work with, and how its results are kept."""

import copy
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.swa_utils import AveragedModel

from hashstagram.bundle import Bundle, BundleConfig
from hashstagram.files import CONFIG
from hashstagram.model import create_model
from hashstagram.recommender import Recommender
from hashstagram.vocabulary import Vocabulary
from training import suspicion
from training.checkpoint import CHECKPOINT, TrainState, run_key, save_checkpoint
from training.classes import read_off
from training.config import TrainConfig
from training.dataset import training_photos
from training.descriptions import soft_targets, word_targets
from training.evaluate import LOG, evaluate
from training.harrison import DataError
from training.head import without_outputs
from training.mix import Mix
from training.optimizer import cosine_schedule, freeze, parameter_groups, running_average
from training.photoset import Photo, PhotoSet, thinned
from training.provenance import provenance
from training.runlog import RunLog

logger = logging.getLogger(__name__)

VALIDATED = 1000  # photos that an epoch is validated on at most, or nearly so


@dataclass(frozen=True)
class Run:
    """What both stages work with.

    Args:
        config: what was asked for.
        accelerator: this process, its device, and the other processes.
        photosets: what is validated on.
        photos: what is trained on.
        targets: (photos, tags and words that are taught), see training.loss.
        words: how many words of descriptions the network learns beside the tags; mostly none.
        mix: which of the photos an epoch of stage two takes.
        described: the configuration of the bundle.
        vocabulary: the tags: those that are taught, then those that are read off classes.
        state: what changes.
        out: the run's folder.
        key: see run_key.
        workers: processes that decode photos for this one.
    """

    config: TrainConfig
    accelerator: Accelerator
    photosets: Sequence[PhotoSet]
    photos: Sequence[Photo]
    targets: Tensor
    words: int
    mix: Mix
    described: BundleConfig
    vocabulary: Vocabulary
    state: TrainState
    out: Path
    key: str
    workers: int

    @property
    def classes(self) -> int:
        """How many of the classes that the weights came with the network keeps; mostly none."""
        return self.described.classes.count if self.described.classes else 0

    def bundle(self, model: nn.Module) -> Bundle:
        """A network of this run as it would be served, without the words."""
        if self.words:
            tags = self.described.model.num_classes - self.classes
            model = without_outputs(model, tags, self.words)
        return Bundle(self.described, self.vocabulary, model.eval())

    def begin_stage_two(self) -> None:
        """Have stage two begin with the network as it is now, which is kept if there is none."""
        weights = self.state.model.state_dict()
        self.state.average.module.load_state_dict(weights)
        self.state.start.load_state_dict(weights)

    @property
    def kept(self) -> nn.Module:
        """The network between the average of stage two's weights and the one before them."""
        share = self.config.tuning.interpolate
        before, kept = self.state.start.state_dict(), copy.deepcopy(self.state.average.module)
        for name, weight in kept.state_dict().items():  # shares memory with the network
            if weight.is_floating_point():
                weight.lerp_(before[name], share)
        return kept

    def save(self) -> None:
        """Write the checkpoint; one process does it for all."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.out / CHECKPOINT, self.key, self.state)


def create_run(
    config: TrainConfig,
    accelerator: Accelerator,
    photosets: Sequence[PhotoSet],
    weights: str | Sequence[str],
    out: Path,
    workers: int,
) -> Run:
    """A run with a network that has fresh weights, before its first step."""
    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    vocabulary = Vocabulary.build(
        (photo.tags for photoset in photosets for photo in photoset.split(*config.train_splits)),
        max_tags=config.max_tags,
        min_count=config.min_count,
    )
    photos, targets = training_photos(photosets, vocabulary, config.train_splits)
    words = word_targets(photos) if config.loss.describe else targets[:, :0]
    if config.loss.describe:
        targets = torch.cat([soft_targets(photos, targets, vocabulary), words], dim=1)
    classes = read_off(vocabulary) if config.loss.keep_classes else None
    described = BundleConfig(
        config.name,
        config.model(len(vocabulary) + (classes.count if classes else 0)),
        config.transform,
        config.loss.activation,
        classes=classes,
        training=provenance(config, photosets),
    )
    outputs = described.model.num_classes + words.shape[1]
    model = create_model(config.model(outputs)).to(accelerator.device)
    model = model.to(memory_format=torch.channels_last)
    freeze(model, config.finetune.frozen)
    mix = Mix.of(photosets, photos, config.finetune.shares)
    return Run(
        config,
        accelerator,
        photosets,
        photos,
        targets,
        words.shape[1],
        mix,
        described,
        Vocabulary((*vocabulary.tags, *(classes.tags if classes else ()))),
        create_state(config, accelerator, model, len(mix)),
        out,
        run_key(config, weights, photos),
        workers,
    )


def resumed(run: Run) -> Run:
    """The run with what its folder says of the weights that it began with.

    They may be out of reach by now.
    """
    training = BundleConfig.load(run.out / CONFIG).training
    return replace(run, described=replace(run.described, training=training))


def create_state(
    config: TrainConfig, accelerator: Accelerator, model: nn.Module, photos: int
) -> TrainState:
    """Stage two before its first step, which the average begins with."""
    stage = config.finetune
    optimizer = AdamW(parameter_groups(model, stage), fused=True)
    lr_scheduler = cosine_schedule(optimizer, stage.epochs * stage.steps(photos))
    return TrainState(
        model=model,
        average=AveragedModel(model, multi_avg_fn=running_average(stage.ema_decay)),
        start=copy.deepcopy(model),
        optimizer=accelerator.prepare_optimizer(optimizer),
        lr_scheduler=lr_scheduler,
        scaler=accelerator.scaler,
    )


def create_accelerator(config: TrainConfig) -> Accelerator:
    """This process's device, and what ties it to the others that torchrun started.

    Raises:
        DataError: the device has no such precision.
    """
    try:
        accelerator = Accelerator(
            cpu=not torch.accelerator.is_available(),
            mixed_precision=config.finetune.mixed_precision,
            # The others wait while one process trains the head or validates.
            kwargs_handlers=[InitProcessGroupKwargs(timeout=timedelta(hours=12))],
        )
    except ValueError as err:
        raise DataError(str(err)) from err
    precision = config.finetune.mixed_precision
    if precision != "no" and not accelerator.native_amp:
        raise DataError(f"{precision} does nothing on {accelerator.device}: choose another")
    restarts = int(os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0"))
    if restarts and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True":
        # github.com/pytorch/pytorch/issues/135712
        logger.warning(
            "after a restart the processes may look for those before them: "
            "set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun"
        )
    return accelerator


def keep(run: Run, model: nn.Module, log: RunLog, loss: float | None) -> None:
    """Write the bundle, and a line of metrics on each set's validation photos (see VALIDATED)."""
    bundle = run.bundle(model)
    bundle.save(run.out)
    recommender = Recommender(bundle, str(run.accelerator.device))
    validated = thinned([photoset.only("val") for photoset in run.photosets], VALIDATED)
    validation = evaluate(recommender, validated)
    state = run.state
    lr = state.lr if state.epoch else None
    log.epoch(state.step, {"epoch": state.epoch, "loss": loss, "lr": lr, "val": validation})
    fresh = not run.described.training["weights"]
    suspicion.warn(suspicion.jumps(suspicion.read_history(run.out / LOG)[-3:], fresh=fresh))
    for name, report in validation.items():
        logger.info(
            "epoch %d, %s: precision@1 %.1f  recall@5 %.1f  accuracy@5 %.1f",
            *(state.epoch, name, report["precision_at_1"]),
            *(report["recall_at_5"], report["accuracy_at_5"]),
        )
