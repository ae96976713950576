"""Train: photo sets and a configuration to a run folder, which is a bundle in full precision.

Run: python -m training.train --config FILE --data ROOT [--data ROOT ...] --out RUN
"""

import argparse
import json
import logging
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from hashstagram.bundle import CONFIG, Bundle, BundleConfig
from hashstagram.model import create_model, split_head
from hashstagram.recommender import Recommender
from hashstagram.vocabulary import Vocabulary
from training.allocator import keep_freed_memory
from training.backbone import embeddings
from training.checkpoint import CHECKPOINT, TrainState, load_checkpoint, run_key, save_checkpoint
from training.config import TrainConfig
from training.dataset import TaggedImageDataset, train_transform, training_photos
from training.evaluate import LOG, SEEN, evaluate
from training.harrison import DataError
from training.loss import partial_loss
from training.photoset import Photo, PhotoSet, save_seen
from training.prepare import open_photoset
from training.tuning import tune
from training.weights import load_backbone

logger = logging.getLogger(__name__)

EMBEDDINGS = "embeddings.safetensors"


def train(
    config: TrainConfig,
    photosets: Sequence[PhotoSet],
    weights: str | Sequence[str],
    out: Path,
    *,
    accept_noncommercial: bool = False,
) -> None:
    """Both stages; a run that was killed goes on where it was when it is started again.

    Raises:
        DataError: the weights do not fit, or the folder holds another run.
    """
    torch.manual_seed(config.seed)
    out.mkdir(parents=True, exist_ok=True)
    vocabulary = Vocabulary.build(
        (photo.tags for photoset in photosets for photo in photoset.split(*config.train_splits)),
        max_tags=config.max_tags,
        min_count=config.min_count,
    )
    photos, targets = training_photos(photosets, vocabulary, config.train_splits)
    logger.info("%d photos to train on, %d tags", len(photos), len(vocabulary))
    described = BundleConfig(
        config.name,
        config.model(len(vocabulary)),
        config.transform,
        config.activation,
        training=_provenance(config),
    )
    model = create_model(described.model).to(memory_format=torch.channels_last)
    state = _train_state(config, model, len(photos))
    key = run_key(config, weights, photos)

    def save() -> None:
        save_checkpoint(out / CHECKPOINT, key, state)

    if load_checkpoint(out / CHECKPOINT, key, state):
        # It says what weights the run began with, which may be out of reach by now.
        described = replace(described, training=BundleConfig.load(out / CONFIG).training)
        epochs = config.finetune.epochs
        logger.info("%s: %d of %d epochs done, %d batches", out, state.epoch, epochs, state.batch)
    else:
        described.training["weights"] = load_backbone(
            model, config.architecture, weights, accept_noncommercial=accept_noncommercial
        )
        fit_head(config, model, photos, targets, out / EMBEDDINGS)
        save_seen(
            out / SEEN, [photo for s in photosets for photo in s.split(*config.train_splits, "val")]
        )
        _keep(Bundle(described, vocabulary, model), photosets, out, state)
        save()

    while state.epoch < config.finetune.epochs:
        train_one_epoch(config, state, photos, targets, save)
        _keep(Bundle(described, vocabulary, state.average.module), photosets, out, state)
        state.batch, state.loss = 0, 0.0
        save()

    trained = Bundle(described, vocabulary, state.average.module.eval())
    tune(trained, photosets, config).save(out)


def train_one_epoch(
    config: TrainConfig,
    state: TrainState,
    photos: Sequence[Photo],
    targets: Tensor,
    save: Callable[[], None],
) -> None:
    """The rest of one pass over the photos through all layers; `save` is called now and then."""
    stage = config.finetune
    transform = train_transform(replace(config.transform, input_size=stage.input_size), stage.scale)
    dataset = TaggedImageDataset(photos, targets, config.transform, transform)
    # Order and augmentation depend on seed, epoch and batch alone, so that a run can go on: the
    # loader gets a generator of its own, for it draws a number when it starts.
    dice = torch.Generator().manual_seed(config.seed * 1_000_003 + state.epoch)
    batches = torch.randperm(len(photos), generator=dice).split(stage.batch_size)
    data_loader = DataLoader(
        dataset, batch_sampler=[b.tolist() for b in batches[state.batch :]], generator=dice
    )
    state.model.train()
    if stage.freeze_batch_norm:
        freeze_batch_norm(state.model)
    saved = time.monotonic()
    for images, labels in data_loader:
        logits = state.model(images.contiguous(memory_format=torch.channels_last))
        state.loss += _step(config, logits, labels, state.optimizer, state.lr_scheduler)
        state.average.update_parameters(state.model)
        state.batch += 1
        if time.monotonic() - saved >= 60 * config.checkpoint_minutes:
            save()
            saved = time.monotonic()
        if state.batch % 50 == 0:
            mean = state.loss / state.batch
            logger.info("batch %d of %d, mean loss %.3f", state.batch, len(batches), mean)
    state.epoch += 1


def fit_head(
    config: TrainConfig, model: nn.Module, photos: Sequence[Photo], targets: Tensor, cache: Path
) -> None:
    """Stage one: the linear head on the frozen backbone's embeddings, which are computed once."""
    started = time.monotonic()
    inputs = embeddings(model, photos, config.transform, cache)
    logger.info("embeddings of %d photos: %.0f s", len(photos), time.monotonic() - started)
    _, head = split_head(model)
    stage = config.head
    optimizer = AdamW(head.parameters(), lr=stage.lr, weight_decay=stage.weight_decay)
    batches = math.ceil(len(photos) / stage.batch_size)
    lr_scheduler = _cosine(optimizer, stage.epochs * batches)
    head.train()  # several layers over several networks, with dropout
    for _ in range(stage.epochs):
        for rows in torch.randperm(len(photos)).split(stage.batch_size):
            _step(config, head(inputs[rows]), targets[rows], optimizer, lr_scheduler)


def freeze_batch_norm(model: nn.Module) -> None:
    """Keep batch norm's statistics while its weights and biases go on learning."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def _step(
    config: TrainConfig,
    logits: Tensor,
    targets: Tensor,
    optimizer: Optimizer,
    lr_scheduler: LRScheduler,
) -> float:
    loss = partial_loss(
        logits, targets, activation=config.activation, unknown_weight=config.unknown_weight
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    lr_scheduler.step()
    return loss.item()


def _train_state(config: TrainConfig, model: nn.Module, photos: int) -> TrainState:
    """Stage two before its first step, which the average begins with."""
    stage = config.finetune
    optimizer = AdamW(_parameter_groups(config, model))
    return TrainState(
        model=model,
        average=AveragedModel(model, avg_fn=_running_average(stage.ema_decay)),
        optimizer=optimizer,
        lr_scheduler=_cosine(optimizer, stage.epochs * math.ceil(photos / stage.batch_size)),
    )


def _parameter_groups(config: TrainConfig, model: nn.Module) -> list[dict[str, Any]]:
    """The head at full learning rate, the backbone below it; no decay on biases and norms."""
    stage = config.finetune
    head, _ = split_head(model)
    groups = []
    for name, parameter in model.named_parameters():
        of_head = name.startswith(head + ".")
        groups.append(
            {
                "params": [parameter],
                "lr": stage.lr * (1.0 if of_head else stage.backbone_lr_scale),
                "weight_decay": stage.weight_decay if parameter.ndim > 1 else 0.0,
            }
        )
    return groups


def _running_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """An exponential moving average that follows fast at first, when there is little to average."""

    def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        step = float(count)
        return averaged.lerp(current, 1 - min(decay, (1 + step) / (10 + step)))

    return average


def _cosine(optimizer: Optimizer, steps: int) -> LambdaLR:
    """Up over the first twentieth of the steps, then down to zero along a cosine."""
    warm_up = max(1, steps // 20)

    def scale(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    return LambdaLR(optimizer, scale)


def _keep(bundle: Bundle, photosets: Sequence[PhotoSet], out: Path, state: TrainState) -> None:
    """Write the bundle, and a line of metrics on each set's validation photos."""
    bundle.model.eval()
    bundle.save(out)
    recommender = Recommender(bundle)
    validation = {
        photoset.name: evaluate(recommender, photoset.split("val"), photoset.vocabulary)
        for photoset in photosets
        if photoset.split("val")
    }
    loss = state.loss / state.batch if state.batch else None
    _log(out / LOG, {"epoch": state.epoch, "loss": loss, "val": validation})
    for name, report in validation.items():
        logger.info(
            "epoch %d, %s: precision@1 %.1f  recall@5 %.1f  accuracy@5 %.1f",
            *(state.epoch, name, report["precision_at_1"]),
            *(report["recall_at_5"], report["accuracy_at_5"]),
        )


def _log(path: Path, line: dict[str, Any]) -> None:
    """Add an epoch's line; epoch 0 begins the file, and one that is done again has its line again.

    A run that was killed between the line and the checkpoint does its last epoch twice.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if line["epoch"] else []
    path.write_text("\n".join([*lines[: line["epoch"]], json.dumps(line)]) + "\n", encoding="utf-8")


def _provenance(config: TrainConfig) -> dict[str, Any]:
    return {
        "config": asdict(config),
        "versions": {"torch": torch.__version__, "torchvision": torchvision.__version__},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Train; exit 1 with one line when the data or the weights cannot be used."""
    parser = argparse.ArgumentParser(description="Train a model on tagged photos.")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML")
    parser.add_argument(
        "--data", type=Path, required=True, action="append", metavar="ROOT", help="a photo set"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="the run's folder")
    parser.add_argument(
        "--weights",
        nargs="+",
        metavar="WEIGHTS",
        help="to start from, for each network or one for all: none, a name, a file, or "
        "URL#sha256=DIGITS (default: the config's)",
    )
    parser.add_argument(
        "--accept-noncommercial",
        action="store_true",
        help="take weights whose licence rules out commercial use, such as torchvision's SWAG",
    )
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    try:
        config = TrainConfig.load(args.config)
        photosets = [open_photoset(root) for root in args.data]
        train(
            config,
            photosets,
            args.weights or config.weights,
            args.out,
            accept_noncommercial=args.accept_noncommercial,
        )
    except DataError as err:
        logger.error("%s", err)
        return 1
    logger.info("the model is in %s: evaluate it, then export it", args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
