"""Train: photo sets and a configuration to a run folder, which is a bundle in full precision.

Run: python -m training.train --config FILE --data ROOT [--data ROOT ...] --out RUN
In several processes: torchrun --nproc-per-node N -m training.train ...
With --max-restarts they go on when one dies; set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 then.
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import nn

from training.allocator import keep_freed_memory
from training.checkpoint import CHECKPOINT, load_checkpoint
from training.classes import load_class_targets, refit, save_class_targets, still
from training.config import TrainConfig
from training.evaluate import SEEN
from training.features import cache_features, head_views
from training.finetune import finetune
from training.harrison import DataError
from training.head import fit_head
from training.photoset import Photo, PhotoSet, save_seen
from training.prepare import open_photoset
from training.progress import set_up_logging
from training.run import Run, create_accelerator, create_run, keep, resumed
from training.runlog import RunLog, log_head
from training.spelling import settled
from training.termination import Terminated
from training.tuning import photos_to_tune_on, tune
from training.weights import load_backbone

logger = logging.getLogger(__name__)

FEATURES = "features"
CLASSES = "classes.npy"


def train(
    config: TrainConfig,
    photosets: Sequence[PhotoSet],
    weights: str | Sequence[str],
    out: Path,
    *,
    accept_noncommercial: bool = False,
    features: Path | None = None,
    workers: int | None = None,
) -> None:
    """Both stages; a run that was killed goes on where it was when it is started again.

    Args:
        config: of the run.
        photosets: what to train and validate on.
        weights: what to start from, see load_backbone.
        out: the run's folder.
        accept_noncommercial: see load_backbone.
        features: where stage one's features are kept; in the run's folder by default.
        workers: processes that decode photos, for each process that trains; by default a share
            of the cores beside a GPU, and none on CPU, where they would only take turns.

    Raises:
        DataError: the weights do not fit, the folder holds another run, or what is asked for
            cannot be done on this machine.
        Terminated: SIGTERM came; the state is saved.
    """
    photosets = settled(photosets)
    features = features or out / FEATURES
    accelerator = create_accelerator(config)
    if workers is None:
        workers = _spare_cores(accelerator)
    run = create_run(config, accelerator, photosets, weights, out, workers)
    logger.info("%d photos to train on, %d tags", len(run.photos), len(run.vocabulary))
    _warn_of_foreign_tags(config, photosets)
    trained = (out / CHECKPOINT).exists()
    if not trained:
        run.described.training["weights"] = load_backbone(
            run.state.model,
            config.architecture,
            weights,
            classes=run.classes,
            accept_noncommercial=accept_noncommercial,
        )
        train_head(run, features)
    else:
        run = resumed(run)
    load_checkpoint(out / CHECKPOINT, run.key, run.state)
    if run.state.epoch < config.finetune.epochs:
        finetune(_with_classes(run), features)
    elif trained:
        logger.info("%s is trained to the end: only the tuning is done again", out)
    kept = run.kept
    views = head_views(replace(config, head=replace(config.head, views=1)), kept)
    photos = photos_to_tune_on(photosets, config)
    [rows] = cache_features(accelerator, views, photos, features, workers=workers)
    if run.classes and config.finetune.epochs:
        refit_classes(run, kept, dict(zip(photos, rows, strict=True)), features)
    if accelerator.is_main_process:
        logger.info("tuning on the validation photos")
        tune(run.bundle(kept), photosets, config, rows).save(out)
    accelerator.wait_for_everyone()
    accelerator.end_training()


def _warn_of_foreign_tags(config: TrainConfig, photosets: Sequence[PhotoSet]) -> None:
    vocabularies = {frozenset(photoset.vocabulary.tags) for photoset in photosets}
    if len(vocabularies) > 1 and config.loss.unknown_weight == 0:
        logger.warning(
            "WARNING: the sets have different tags, and with unknown_weight = 0 nothing keeps "
            "photos of one set from being given tags of another. Write unknown_weight = 0.1 under "
            "[loss] to begin with"
        )


def train_head(run: Run, features: Path) -> None:
    """Stage one, up to the first checkpoint; all processes compute features, one trains."""
    views = head_views(run.config, run.state.model)
    cached = cache_features(run.accelerator, views, run.photos, features, workers=run.workers)
    if run.accelerator.is_main_process:
        if run.classes:
            save_class_targets(run.out / CLASSES, run.state.model, cached[0], run.classes)
        with still(run.state.model, run.classes):
            losses = fit_head(
                run.config,
                run.state.model,
                cached,
                _with_classes(run).targets,
                words=run.words,
                classes=run.classes,
            )
        run.begin_stage_two()
        log_head(run.out, losses)
        splits = {*run.config.train_splits, "val"}
        photos = [photo for s in run.photosets for photo in s.photos if photo.split in splits]
        save_seen(run.out / SEEN, photos)
        with RunLog(run.out, 0) as log:
            keep(run, run.state.model, log, losses[-1] if losses else None)
        run.save()
    run.accelerator.wait_for_everyone()


def refit_classes(
    run: Run, kept: nn.Module, rows: Mapping[Photo, npt.NDArray[np.float16]], features: Path
) -> None:
    """Classes say again what they said before stage two, see training.classes.

    In all processes: each waits for the others where features are cached.

    Args:
        run: see Run.
        kept: the fine-tuned network, changed in place.
        rows: what reaches its last layer, (width,), of photos to train on among others.
        features: where stage one's features are kept.
    """
    views = head_views(run.config, run.state.start)
    before = cache_features(run.accelerator, views, run.photos, features)[0]
    after = np.stack([rows[photo] for photo in run.photos])
    refit(kept, run.state.start, before, after, run.classes)


def _with_classes(run: Run) -> Run:
    """The run with what the network is to keep telling apart beside each photo's targets."""
    if not run.classes:
        return run
    return replace(run, targets=torch.cat([run.targets, load_class_targets(run.out / CLASSES)], 1))


def _spare_cores(accelerator: Accelerator) -> int:
    if accelerator.device.type == "cpu":
        return 0
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def main(argv: Sequence[str] | None = None) -> int:
    """Train; exit 1 with one line when the data or the weights cannot be used, 143 on SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m training.train", description="Train a model on tagged photos."
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML")
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        action="append",
        metavar="ROOT",
        help="a photo set; may be repeated",
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
    parser.add_argument(
        "--features",
        type=Path,
        metavar="DIR",
        help="keep stage one's features here, for other runs too (default: in the run's folder)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that decode photos (default: 0 on CPU, the cores beside a GPU)",
    )
    args = parser.parse_args(argv)
    set_up_logging()
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
            features=args.features,
            workers=args.workers,
        )
    except DataError as err:
        logger.error("%s", err)
        return 1
    except Terminated as err:
        logger.info("%s; give the same command again to go on", err)
        return 143
    logger.info("the model is in %s: evaluate it, then export it", args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
