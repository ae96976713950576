"""Export: a run folder to the bundle that is shipped, in half precision, with its model card.

Run: python -m training.export RUN OUT [--card FILE] [--data ROOT ...] [--optimize]
"""

import argparse
import logging
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml

from hashstagram.bundle import CARD, Bundle, check_bundle
from hashstagram.errors import InvalidBundleError
from training.allocator import keep_freed_memory
from training.evaluate import SEEN, Report, evaluate_bundle
from training.harrison import DataError, read_harrison
from training.optimize import optimize
from training.optimize import table as engine_table
from training.photoset import PhotoSet
from training.prepare import open_photoset
from training.usage import learn_usage

logger = logging.getLogger(__name__)

COLUMNS = {
    "precision_at_1": "precision@1",
    "recall_at_5": "recall@5",
    "accuracy_at_5": "accuracy@5",
    "mean_average_precision": "mAP",
}


def export(
    run: Path,
    out: Path,
    *,
    card: str,
    photosets: Sequence[PhotoSet],
    posts: Sequence[Sequence[str]] = (),
    evidence: int = 0,
    optimized: bool = False,
) -> None:
    """Write the bundle, measure what was written, and put the figures into its card.

    Args:
        run: the run's folder, or a bundle.
        out: the bundle's folder.
        card: what its card begins with; front matter of its own goes before ours.
        photosets: what to measure on.
        posts: the tags of people's posts: the bundle then answers with what people write.
        evidence: see learn_usage.
        optimized: choose what runs it by measurement on this machine: see training.optimize.

    Raises:
        InvalidBundleError: the run folder holds no whole model.
        DataError: a photo set has no photo that the model has not seen, or the card's front
            matter is no YAML.
    """
    split_card(card)  # refused before anything is measured
    bundle = Bundle.load(run)
    if posts:
        classes = bundle.config.classes
        usage = learn_usage(bundle.vocabulary, photosets, posts, classes=classes, evidence=evidence)
        bundle = replace(bundle, usage=usage)
    bundle.save(out, dtype=torch.float16)
    if (run / SEEN).exists():
        shutil.copy(run / SEEN, out / SEEN)
    if optimized:
        engine = optimize(out, photosets)
        bundle = replace(bundle, config=replace(bundle.config, engine=engine))
    check_bundle(out)
    reports = {photoset.name: evaluate_bundle(out, photoset) for photoset in photosets}
    (out / CARD).write_text(model_card(bundle, card, reports), encoding="utf-8")
    for name, report in reports.items():
        figures = ", ".join(f"{label} {report[column]:.1f}" for column, label in COLUMNS.items())
        logger.info("%s, %d photos, per cent: %s", name, report["photos"], figures)


def split_card(card: str) -> tuple[dict[str, Any], str]:
    """The fields of a card's front matter, and its text.

    Raises:
        DataError: the front matter is not a mapping in YAML.
    """
    front_matter = re.match(r"\s*---\s*\n(.*?)^---\s*?$", card, re.DOTALL | re.MULTILINE)
    if not front_matter:
        return {}, card
    try:
        return dict(yaml.safe_load(front_matter[1]) or {}), card[front_matter.end() :]
    except (yaml.YAMLError, TypeError, ValueError) as err:
        raise DataError(f"the card's front matter is no mapping in YAML: {err}") from err


def model_card(bundle: Bundle, card: str, reports: Mapping[str, Report]) -> str:
    """The card: what the Hugging Face hub reads, what was written by hand, what was measured."""
    given, text = split_card(card)
    title, _, body = (text.strip() or f"# {bundle.config.name}").partition("\n")
    notices = [
        f"**Not for commercial use: it was trained from weights under {licence}.**"
        for licence in bundle.config.noncommercial
    ]
    facts = [
        f"- Exported on {datetime.now(UTC):%Y-%m-%d}, weights in half precision.",
        f"- {bundle.config.model.architecture}, {len(bundle.vocabulary)} tags, input "
        f"{bundle.config.transform.input_size} × {bundle.config.transform.input_size}, "
        f"{bundle.config.activation} scores.",
        f"- Made with {_versions(bundle)}.",
        *(
            f"- {weights['network']} started from {weights['source']} (SHA-256 "
            f"{weights['sha256']}), licence: {weights['licence']}."
            for weights in bundle.config.training.get("weights", [])
        ),
    ]
    fields = _front_matter(bundle, reports, given)
    front_matter = yaml.safe_dump(fields, allow_unicode=True, sort_keys=False)
    parts = [f"---\n{front_matter}---", title, *notices, body.strip(), "## Facts", "\n".join(facts)]
    if reports:
        parts += ["## Measured", _table(reports)]
    if bundle.config.engine.measured:
        parts += ["## Engine", engine_table(bundle.config.engine)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _front_matter(
    bundle: Bundle, reports: Mapping[str, Report], given: Mapping[str, Any]
) -> dict[str, Any]:
    """What the hub shows and searches by; fields that were given go before ours."""
    fields: dict[str, Any] = {}
    if "license" not in given:  # what the photos allow, only who has them knows
        name = "noncommercial" if bundle.config.noncommercial else "not-stated"
        fields = {"license": "other", "license_name": name}
    fields |= {
        "library_name": "hashstagram",
        "pipeline_tag": "image-classification",
        "tags": ["hashtags", *dict.fromkeys(bundle.config.model.networks)],
    }
    if sets := list(bundle.config.training.get("data", ())):
        fields["datasets"] = sets
    if reports:
        results = [_result(name, report) for name, report in reports.items()]
        fields["model-index"] = [{"name": bundle.config.name, "results": results}]
    return fields | dict(given)


def _result(name: str, report: Report) -> dict[str, Any]:
    """One set's figures in the form of the hub's model index."""
    photos = {"photos": report["photos"]}
    return {
        "task": {"type": "image-classification", "name": "Hashtag recommendation"},
        "dataset": {"type": name, "name": name, "split": "test", "args": photos},
        "metrics": [
            {"type": column, "name": f"{label} (%)", "value": round(float(report[column]), 1)}
            for column, label in COLUMNS.items()
        ],
    }


def _versions(bundle: Bundle) -> str:
    versions = bundle.config.training.get("versions", {})
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "unknown tools"


def _table(reports: Mapping[str, Report]) -> str:
    """A row a set; in brackets what always answering the most frequent tags reaches."""
    lines = [
        "Photos that the model was not trained or chosen on; per cent, popularity in brackets.",
        "",
        "| set | photos | " + " | ".join(COLUMNS.values()) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for name, report in reports.items():
        popularity = report["baselines"]["popularity"]
        cells = [f"{report[column]:.1f} ({popularity[column]:.1f})" for column in COLUMNS]
        lines.append(f"| {name} | {report['photos']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Export; exit 1 with one line when the run is not whole."""
    parser = argparse.ArgumentParser(
        prog="python -m training.export", description="Make the bundle that is shipped from a run."
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="what train wrote")
    parser.add_argument("out", type=Path, metavar="OUT", help="the bundle's folder")
    parser.add_argument("--card", type=Path, metavar="FILE", help="Markdown to begin the card with")
    parser.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="ROOT",
        help="measure on this set; may be repeated",
    )
    parser.add_argument(
        "--usage",
        type=Path,
        metavar="ROOT",
        help="answer with what people write: a set in HARRISON's format, needed without images",
    )
    parser.add_argument(
        "--evidence",
        type=int,
        default=0,
        metavar="PHOTOS",
        help="with --usage: answer tags of so many training photos, or that classes speak for",
    )
    parser.add_argument(
        "--optimize",
        action="store_true",
        help="choose what runs it by measurement on this machine and on the sets of --data",
    )
    args = parser.parse_args(argv)
    if args.optimize and not args.data:
        parser.error("--optimize needs photos: give --data")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    keep_freed_memory()
    try:
        card = args.card.read_text(encoding="utf-8") if args.card else ""
        posts = read_harrison(args.usage).tags if args.usage else ()
        photosets = [open_photoset(root) for root in args.data]
        export(
            args.run,
            args.out,
            card=card,
            photosets=photosets,
            posts=posts,
            evidence=args.evidence,
            optimized=args.optimize,
        )
    except (DataError, InvalidBundleError, OSError) as err:
        logger.error("%s", err)
        return 1
    size = sum(path.stat().st_size for path in args.out.iterdir())
    logger.info("wrote %s, %.1f MB", args.out, size / 1e6)
    return 0


if __name__ == "__main__":
    sys.exit(main())
