"""Stage two: all layers, on augmented photos, in one process or several."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from hashstagram.model import detach_layers
from training.augment import train_transform
from training.dataset import CachedDataset, TaggedImageDataset
from training.features import Features, cache_features, frozen_views
from training.harrison import DataError
from training.loss import network_loss
from training.memory import largest_micro_batch
from training.progress import track
from training.run import Run, keep
from training.runlog import RunLog
from training.seed import seed_of
from training.termination import Terminated, deferred_sigterm

logger = logging.getLogger(__name__)


def finetune(run: Run, features: Path) -> None:
    """Go on from where the state is to the last epoch.

    Args:
        run: see Run.
        features: where what the frozen layers make of photos is kept, if the stage keeps it.

    Raises:
        DataError: there are more processes than photos in a step, or not one photo fits.
        Terminated: a process was asked to stop; the state is saved.
    """
    state, stage, accelerator = run.state, run.config.finetune, run.accelerator
    if state.step:
        done = "resuming %s: %d of %d epochs done, and %d batches"
        logger.info(done, run.out, state.epoch, stage.epochs, state.batch)
    if len(run.mix) // stage.steps(len(run.mix)) < accelerator.num_processes:
        raise DataError(
            f"{accelerator.num_processes} processes need a larger finetune.batch_size than "
            f"{stage.batch_size}, and at least as many photos"
        )
    layers, cached = _layers_to_train(run, features)
    shape = (3, stage.input_size, stage.input_size) if cached is None else cached.shape[2:]
    share = math.ceil(stage.batch_size / accelerator.num_processes)
    micro_batch = stage.micro_batch_size or largest_micro_batch(accelerator, layers, share, shape)
    if micro_batch < share:
        logger.info("%d photos go through the network at once", micro_batch)
    model = accelerator.prepare_model(layers)
    log_context = RunLog(run.out, state.step + 1) if accelerator.is_main_process else nullcontext()
    with log_context as log, deferred_sigterm() as asked_to_stop:
        while state.epoch < stage.epochs:
            train_one_epoch(run, model, micro_batch, log, asked_to_stop, cached)
            if log:
                keep(run, run.kept, log, state.loss / state.batch)
            state.batch, state.loss = 0, 0.0
            run.save()
            accelerator.wait_for_everyone()


def _layers_to_train(run: Run, features: Path) -> tuple[nn.Module, Features | None]:
    """The whole network; or those after the frozen ones, and what those make of the photos.

    Raises:
        DataError: the frozen layers are not the network's first ones.
    """
    stage = run.config.finetune
    if not stage.views:
        return run.state.model, None
    try:
        frozen, layers = detach_layers(run.state.model, stage.frozen)
    except ValueError as err:
        raise DataError(f"finetune.views keeps what finetune.frozen makes: {err}") from err
    views = frozen_views(run.config, frozen)
    return layers, cache_features(run.accelerator, views, run.photos, features, workers=run.workers)


def train_one_epoch(
    run: Run,
    model: nn.Module,
    micro_batch: int,
    log: RunLog | None,
    asked_to_stop: Callable[[], bool],
    cached: Features | None = None,
) -> None:
    """The rest of one pass over the photos through all layers.

    Raises:
        Terminated: a process was asked to stop; the state is saved.
    """
    config, accelerator, state = run.config, run.accelerator, run.state
    # Where the state stands decides on order and augmentation, so that a run can go on.
    dice = torch.Generator().manual_seed(seed_of(config.seed, state.epoch))
    steps = config.finetune.steps(len(run.mix))
    batches = run.mix.draw(dice).tensor_split(steps)[state.batch :]
    data_loader = create_data_loader(run, batches, cached)
    model.train()
    if config.finetune.freeze_batch_norm:
        freeze_batch_norm(model)
    saved = time.monotonic()

    def note() -> str:
        return f"mean loss {state.loss / state.batch:.3f}"

    for (images, targets), batch in zip(
        track(data_loader, f"epoch {state.epoch + 1}", len(batches), note), batches, strict=True
    ):
        torch.manual_seed(  # of dropout and the like
            seed_of(config.seed, state.epoch, state.batch, accelerator.process_index)
        )
        state.optimizer.zero_grad()
        own_loss = accumulate_gradients(run, model, images, targets, micro_batch, len(batch))
        state.optimizer.step()
        state.lr_scheduler.step()
        state.average.update_parameters(state.model)
        state.batch += 1
        told = torch.stack([own_loss, own_loss.new_tensor(float(asked_to_stop()))])
        loss, stop = accelerator.reduce(told, reduction="mean").tolist()
        state.loss += loss
        if log:
            log.scalars(state.step, {"loss": loss, "lr": state.lr})
        if stop or time.monotonic() - saved >= 60 * config.checkpoint_minutes:
            run.save()
            saved = time.monotonic()
        if stop:
            raise Terminated(f"stopped in epoch {state.epoch + 1} after {state.batch} batches")
    state.epoch += 1


def accumulate_gradients(
    run: Run, model: nn.Module, images: Tensor, targets: Tensor, micro_batch: int, photos: int
) -> Tensor:
    """Gradients of the mean loss of a step's photos.

    Args:
        run: for the loss and the device.
        model: the prepared network.
        images: this process's share of the photos (N, 3, S, S).
        targets: theirs (N, outputs).
        micro_batch: how many go through the network at once.
        photos: how many there are in all processes together.

    Returns:
        The share's part of the loss; the mean of all processes' parts is the mean loss.
    """
    accelerator = run.accelerator
    pieces = list(zip(images.split(micro_batch), targets.split(micro_batch), strict=True))
    total = torch.zeros((), device=accelerator.device)
    for number, (inputs, truth) in enumerate(pieces, start=1):
        # Processes exchange gradients once a step, and take the mean of them.
        with nullcontext() if number == len(pieces) else accelerator.no_sync(model):
            inputs = inputs.to(accelerator.device, memory_format=torch.channels_last)
            logits = model(inputs).float()
            losses = network_loss(
                *(logits, truth.to(logits), run.config.loss), words=run.words, classes=run.classes
            )
            loss = losses.sum() * (accelerator.num_processes / photos)
            accelerator.backward(loss)
        total += loss.detach()
    return total


def freeze_batch_norm(model: nn.Module) -> None:
    """Keep batch norm's statistics while its weights and biases go on learning."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def create_data_loader(
    run: Run, batches: Sequence[Tensor], cached: Features | None
) -> DataLoader[tuple[Tensor, Tensor]]:
    """This process's share of each batch of the current epoch, augmented."""
    config, accelerator = run.config, run.accelerator
    size = replace(config.transform, input_size=config.finetune.input_size)
    place = (config.seed, run.state.epoch)
    share = slice(accelerator.process_index, None, accelerator.num_processes)
    return DataLoader(
        TaggedImageDataset(
            run.photos,
            run.targets,
            config.transform,
            train_transform(size, config.augment),
            dice=place,
        )
        if cached is None
        else CachedDataset(cached, run.targets, dice=place),
        batch_sampler=[batch[share].tolist() for batch in batches],
        num_workers=run.workers,
        pin_memory=accelerator.device.type == "cuda",
    )
