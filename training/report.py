"""Report: one HTML file about an evaluation that needs nothing but itself, not even a network."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import jinja2
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from torch import Tensor

from hashstagram.decode import decode_image
from training import metrics
from training.evaluate import Evaluation, figure

TEMPLATE = "report.html.j2"
THUMBNAIL = 200  # pixels
PHOTOS = 8  # best ones, and as many worst ones
LABELS = {
    "precision_at_1": "precision@1",
    "recall_at_5": "recall@5",
    "accuracy_at_5": "accuracy@5",
    "precision_at_5": "precision@5",
    "mean_average_precision": "mean average precision",
    "recall_head": "recall of head tags",
    "recall_mid": "recall of middle tags",
    "recall_tail": "recall of tail tags",
    "coverage": "coverage",
    "calibration_error": "calibration error",
    "per_word.precision": "per word: precision",
    "per_word.recall": "per word: recall",
    "per_word.f1": "per word: F1",
    "per_word.n_plus": "per word: N+",
}


@dataclass(frozen=True)
class Plot:
    """A picture as a data URI, and the same in words."""

    title: str
    source: str
    alt: str


@dataclass(frozen=True)
class TagRow:
    """How one tag fares; the shares are None where there is nothing to divide."""

    tag: str
    seen: int
    photos: int
    average_precision: float | None
    precision: float | None
    recall: float | None


@dataclass(frozen=True)
class Answer:
    """A recommended tag."""

    tag: str
    score: float
    right: bool


@dataclass(frozen=True)
class PhotoCard:
    """A photo with its own tags and the five that it was given."""

    name: str
    thumbnail: str
    tags: Sequence[str]
    answers: Sequence[Answer]


def page(evaluation: Evaluation) -> str:
    """The whole page. Tags and file names come from strangers: the template escapes them."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters["csp_hash"] = _csp_hash
    order = _from_best_to_worst(evaluation)
    return templates.get_template(TEMPLATE).render(
        report=evaluation.report,
        headline=_headline(evaluation.report),
        plots=list(_plots(evaluation)),
        tags=tag_rows(evaluation),
        best=[_card(evaluation, row) for row in order[:PHOTOS]],
        worst=[_card(evaluation, row) for row in reversed(order[PHOTOS:][-PHOTOS:])],
    )


def tag_rows(evaluation: Evaluation) -> list[TagRow]:
    """A row for each tag of the set, the most frequent first."""
    chosen = metrics.top_k(evaluation.scores, metrics.K)
    photos, given = evaluation.targets.sum(dim=0), chosen.sum(dim=0)
    hits = (chosen & evaluation.targets).sum(dim=0)
    precise = metrics.average_precisions(evaluation.scores, evaluation.targets)[:, 0]
    rows = [
        TagRow(
            tag=tag,
            seen=int(evaluation.frequency[i]),
            photos=int(photos[i]),
            average_precision=100 * float(precise[i]) if photos[i] else None,
            precision=100 * float(hits[i] / given[i]) if given[i] else None,
            recall=100 * float(hits[i] / photos[i]) if photos[i] else None,
        )
        for i, tag in enumerate(evaluation.vocabulary.tags)
    ]
    return sorted(rows, key=lambda row: (-row.photos, row.tag))


def _headline(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "label": LABELS[name],
            "model": figure(report, name),
            "low": low,
            "high": high,
            "baselines": [figure(other, name) for other in report["baselines"].values()],
        }
        for name, (low, high) in report["intervals"].items()
    ]


def _from_best_to_worst(evaluation: Evaluation) -> list[int]:
    """Rows of photos: fewest labels missed first, of five at most, and most labels hit.

    Among those alike the surest comes first where all was found, and last where labels were missed.
    """
    best, tags = evaluation.scores.topk(min(metrics.K, evaluation.scores.shape[1]), dim=1)
    right = (evaluation.targets.gather(1, tags) & (best >= 0)).sum(dim=1)
    missed = evaluation.targets.sum(dim=1).clamp(max=metrics.K) - right
    sure = best.clamp(min=0).mean(dim=1)
    key = -10.0 * missed + right + torch.where(missed == 0, sure, -sure) * 0.1
    return key.argsort(descending=True, stable=True).tolist()


def _card(evaluation: Evaluation, row: int) -> PhotoCard:
    photo, scores = evaluation.photos[row], evaluation.scores[row]
    best, tags = scores.topk(min(metrics.K, len(scores)))
    return PhotoCard(
        name=photo.path.name,
        thumbnail=_thumbnail(photo.path),
        tags=photo.tags,
        answers=[
            Answer(evaluation.vocabulary.tags[tag], score, bool(evaluation.targets[row, tag]))
            for score, tag in zip(best.tolist(), tags.tolist(), strict=True)
            if score >= 0
        ],
    )


def _thumbnail(path: Path) -> str:
    image = decode_image(path.read_bytes(), min_side=THUMBNAIL)
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=75)
    return _data_uri("image/jpeg", buffer.getvalue())


def _plots(evaluation: Evaluation) -> Iterator[Plot]:
    yield _precision_recall(evaluation)
    yield _reliability(evaluation.report)
    yield _parts(evaluation.report)
    yield _recall_by_frequency(evaluation)
    if len(evaluation.history) > 1:
        yield _training_curve(evaluation.history, evaluation.report["set"])


def _precision_recall(evaluation: Evaluation) -> Plot:
    curve = metrics.precision_recall_curve(evaluation.scores, evaluation.targets)
    recall, precision = ([100 * point[i] for point in curve] for i in (0, 1))
    drawing, axes = _axes("recall, per cent", "precision, per cent")
    axes.plot(recall, precision)
    axes.set(xlim=(0, 100), ylim=(0, 102))
    middle = [f"{p:.0f} at recall {r:.0f}" for r, p in zip(recall, precision, strict=True)]
    steps = middle[:: max(1, len(middle) // 5)]
    return _plot(
        drawing,
        "Precision and recall",
        "Precision over recall of all pairs of photo and tag, from a high threshold to a low one: "
        + ", ".join(steps),
    )


def _reliability(report: dict[str, Any]) -> Plot:
    drawing, axes = _axes("mean score, per cent", "right, per cent")
    scores = [100 * each["score"] for each in report["reliability"]]
    right = [100 * each["right"] for each in report["reliability"]]
    axes.plot([0, 100], [0, 100], color="grey", linestyle=":", label="calibrated")
    axes.plot(scores, right, marker="o", label="model")
    axes.set(xlim=(0, 100), ylim=(0, 102))
    axes.legend()
    pairs = (f"{s:.0f}: {r:.0f}" for s, r in zip(scores, right, strict=True))
    return _plot(
        drawing,
        "Reliability of the scores",
        "How many of the recommended tags are right for each mean score: " + ", ".join(pairs),
    )


def _parts(report: dict[str, Any]) -> Plot:
    names = [part for part in metrics.PARTS if f"recall_{part}" in report]
    rows = {"model": report, **report["baselines"]}
    drawing, axes = _axes("a third of all labels each", "recall@5, per cent")
    width = 0.8 / len(rows)
    for number, (label, figures) in enumerate(rows.items()):
        heights = [figures[f"recall_{part}"] for part in names]
        axes.bar([x + number * width for x in range(len(names))], heights, width, label=label)
    for x, part in enumerate(names):
        low, high = report["intervals"][f"recall_{part}"]
        axes.plot([x, x], [low, high], color="black", marker="_")
    axes.set_xticks([x + width * (len(rows) - 1) / 2 for x in range(len(names))], names)
    axes.set(ylim=(0, 102))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(rows), frameon=False)
    spoken = (
        f"{label}: " + ", ".join(f"{part} {figures[f'recall_{part}']:.0f}" for part in names)
        for label, figures in rows.items()
    )
    return _plot(
        drawing,
        "Frequent and rare tags",
        "Recall at five of head, middle and tail tags. " + "; ".join(spoken),
    )


def _recall_by_frequency(evaluation: Evaluation) -> Plot:
    own = evaluation.targets.sum(dim=0)
    hits = (metrics.top_k(evaluation.scores, metrics.K) & evaluation.targets).sum(dim=0)
    shown = own > 0
    seen = evaluation.frequency[shown].clamp(min=0.5)
    recall = 100 * hits[shown] / own[shown]
    drawing, axes = _axes("photos with the tag that the model has seen", "recall@5, per cent")
    axes.scatter(seen.tolist(), recall.tolist(), s=14, alpha=0.5)
    axes.set(xscale="log", ylim=(-3, 103))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(_count)
    axes.minorticks_off()
    never = int((recall == 0).sum())
    return _plot(
        drawing,
        "Recall by tag frequency",
        f"A point for each of {len(recall)} tags that occur. {never} of them are never recalled, "
        f"with a median of {_median(seen[recall == 0])} photos seen; the others have a median of "
        f"{_median(seen[recall > 0])}",
    )


def _count(photos: float, _: float) -> str:
    """A tick's number: whole ones only. Tags that no seen photo has stand at a half."""
    return "0" if photos == 0.5 else f"{photos:.0f}" if photos == round(photos) else ""


def _median(counts: Tensor) -> str:
    return f"{float(counts.median()):.0f}" if len(counts) else "no"


def _training_curve(history: Sequence[dict[str, Any]], name: str) -> Plot:
    """Validation metrics and the loss; of another set where this one was not trained on."""
    validated = (
        name if all(name in line["val"] for line in history) else next(iter(history[0]["val"]))
    )
    lines = [line for line in history if validated in line["val"]]
    epochs = [line["epoch"] for line in lines]
    drawing, axes = _axes("epoch", "per cent")
    for metric in ("precision_at_1", "recall_at_5", "accuracy_at_5"):
        values = [line["val"][validated][metric] for line in lines]
        axes.plot(epochs, values, marker=".", label=LABELS[metric])
    losses = [(line["epoch"], line["loss"]) for line in lines if line["loss"] is not None]
    if losses:
        beside = axes.twinx()
        beside.plot(*zip(*losses, strict=True), color="grey", linestyle="--")
        beside.set_ylabel("training loss (dashed)")
    axes.legend()
    first, last = lines[0]["val"][validated], lines[-1]["val"][validated]
    return _plot(
        drawing,
        f"Training curve, validation photos of {validated}",
        f"Over {len(lines)} evaluations precision at one went from {first['precision_at_1']:.1f} "
        f"to {last['precision_at_1']:.1f} per cent, recall at five from "
        f"{first['recall_at_5']:.1f} to {last['recall_at_5']:.1f}",
    )


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    drawing = Figure(figsize=(5.4, 3.6), layout="constrained")
    axes = drawing.add_subplot()
    axes.set(xlabel=across, ylabel=up)
    axes.grid(visible=True, alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return drawing, axes


def _plot(drawing: Figure, title: str, alt: str) -> Plot:
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": title}):  # the same figures give the same file
        drawing.savefig(buffer, format="svg", metadata={"Date": None})
    return Plot(title, _data_uri("image/svg+xml", buffer.getvalue()), alt)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _csp_hash(script: str) -> str:
    """How a content security policy names the one script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
