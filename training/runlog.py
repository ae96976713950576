"""RunLog: what a run tells while it goes: metrics.jsonl, TensorBoard's scalars, and curves.svg."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

from training.evaluate import LOG

CURVES = "curves.svg"
TENSORBOARD = "tensorboard"

SHOWN = ("precision_at_1", "recall_at_5", "accuracy_at_5", "mean_average_precision")


class RunLog:
    """Use it as a context manager; it goes on with what is there.

    Args:
        out: the run's folder.
        begin: the step that comes next; what TensorBoard heard of it and later ones is void.
    """

    def __init__(self, out: Path, begin: int) -> None:
        self.out = out
        self.writer = SummaryWriter(out / TENSORBOARD / "finetune", purge_step=begin)

    def __enter__(self) -> "RunLog":
        """Itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write what is held back."""
        self.writer.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Tell TensorBoard."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def epoch(self, step: int, line: dict[str, Any]) -> None:
        """Add an epoch's line to metrics.jsonl, and draw the curves.

        Epoch 0 begins the file, and one that is done again has its line again: a run that was
        killed between the line and the checkpoint does its last epoch twice.

        Args:
            step: how many steps are done.
            line: epoch, loss, lr, and val: a report for each set.
        """
        path = self.out / LOG
        kept = path.read_text(encoding="utf-8").splitlines() if line["epoch"] else []
        lines = [*kept[: line["epoch"]], json.dumps(line)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        draw_curves([json.loads(text) for text in lines], self.out / CURVES)
        for name, report in line["val"].items():
            self.scalars(step, {f"{name}/{metric}": report[metric] for metric in SHOWN})
        self.writer.flush()


def log_head(out: Path, losses: Sequence[float]) -> None:
    """Tell TensorBoard stage one's mean loss of each epoch."""
    with SummaryWriter(out / TENSORBOARD / "head", purge_step=0) as writer:
        for epoch, loss in enumerate(losses, start=1):
            writer.add_scalar("loss", loss, epoch)


def draw_curves(lines: Sequence[dict[str, Any]], path: Path) -> None:
    """Loss and learning rate over the epochs, and each set's validation, as SVG."""
    sets = list(lines[0]["val"])
    figure = Figure(figsize=(4 * (2 + len(sets)), 3.2))
    loss, rate, *validation = figure.subplots(1, 2 + len(sets), squeeze=False)[0]
    _plot(loss, "mean loss", lines, {"loss": [line["loss"] for line in lines]})
    _plot(rate, "learning rate", lines, {"lr": [line["lr"] for line in lines]})
    for axes, name in zip(validation, sets, strict=True):
        reports = [line["val"][name] for line in lines]
        curves = {metric: [report[metric] for report in reports] for metric in SHOWN}
        _plot(axes, f"{name}, per cent", lines, curves)
        axes.legend(fontsize="small")
    # The same curves are the same bytes; text stays text.
    with rc_context({"svg.hashsalt": CURVES, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None})


def _plot(
    axes: Axes, title: str, lines: Sequence[dict[str, Any]], curves: Mapping[str, Sequence[float]]
) -> None:
    for name, values in curves.items():
        axes.plot([line["epoch"] for line in lines], values, marker=".", label=name)
    axes.set_title(title, parse_math=False)
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
