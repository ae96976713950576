"""Report: the results as Markdown, for docs/performance.md."""

from collections.abc import Iterable, Iterator, Sequence

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.results import Place, Ratio, Results, memory, ratios

BATCHED = 8  # connections at which cost by photo size and model is shown
USUAL = 1080  # pixels at which cost by clients is shown


def markdown(results: Results) -> str:
    """All tables."""
    parts = [
        _machine(results),
        *(_rates(results, model) for model in _models(results)),
        _ours(results),
        _memory(results),
        _growth(results),
        _batches(results),
        _skipped(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose first column is text, and the others are numbers."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _machine(results: Results) -> str:
    machine = results.machine
    return (
        f"{machine['processor']}, {machine['cores']} cores; Python {machine['python']}, "
        f"torch {machine['torch']}."
    )


def _models(results: Results) -> list[str]:
    return list(dict.fromkeys(place.model for place in results.places()))


def _own(results: Results) -> list[str]:
    """Ours among the services, with the front and without."""
    return [name for name in results.services() if PEERS[name].is_ours]


def _rates(results: Results, model: str) -> str:
    """Photos a second of each service, each at its better configuration."""
    best, places = results.best(), [p for p in results.places() if p.model == model]
    rows = []
    for name in results.services():
        cells = [best.get((place, name)) for place in places]
        if any(cells):
            rows.append(
                [PEERS[name].title, *(_number(c.requests_per_s if c else None) for c in cells)]
            )
    for name in _own(results):
        found = {ratio.place: ratio for ratio in ratios(results, name)}
        shares = [_times(found.get(place)) for place in places]
        if any(shares):
            rows.append([f"**{PEERS[name].title} ÷ best peer**", *shares])
    head = [model, *(f"{place.width} px, c={place.connections}" for place in places)]
    return "Photos a second:\n\n" + table(head, rows)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def _times(ratio: Ratio | None) -> str:
    return f"**{ratio.rate:.2f}**" if ratio else ""


def _ours(results: Results) -> str:
    """Latency of ours, and beside the lowest of any peer."""
    return "\n\n".join(filter(None, (_latencies(results, name) for name in _own(results))))


def _latencies(results: Results, name: str) -> str:
    best = results.best()
    rows = []
    for ratio in ratios(results, name):
        own, place = best[ratio.place, name], ratio.place
        rows.append(
            [
                f"{place.model}, {place.width} px, c={place.connections}",
                *(_number(own.p50_ms), _number(own.p99_ms)),
                *(f"{ratio.p50:.2f}", f"{ratio.p99:.2f}", _errors(results, place)),
            ]
        )
    columns = ["p50 ms", "p99 ms", "p50 ÷ lowest peer's", "p99 ÷", "errors, all"]
    return "Time to an answer:\n\n" + table([PEERS[name].title, *columns], rows) if rows else ""


def _errors(results: Results, place: Place) -> str:
    return str(sum(cell.errors for cell in results.cells if cell.place == place))


def _memory(results: Results) -> str:
    """PSS under load by configuration, start-up, and how far the answers agree."""
    most = memory(results.starts)
    rows = []
    for peer, model in dict.fromkeys((start.peer, start.model) for start in results.starts):
        own = [start for start in results.starts if (start.peer, start.model) == (peer, model)]
        sizes = {key[2]: mebibytes for key, mebibytes in most.items() if key[:2] == (peer, model)}
        rows.append(
            [
                f"{model}: {PEERS[peer].title}",
                ", ".join(f"{size:.0f} ({name})" for name, size in sorted(sizes.items())),
                f"{min(start.seconds for start in own):.1f}",
                f"{min(start.agreement for start in own):.2f}",
            ]
        )
    rows.sort(key=lambda row: row[0])
    head = ["service", "PSS MiB (workers × threads)", "start s", "tags of 5 as the textbook"]
    return "Memory of all processes under load, and seconds to the first answer:\n\n" + table(
        head, rows
    )


def _growth(results: Results) -> str:
    """Milliseconds a photo, of the whole machine, by photo size, model and clients."""
    places = [p for p in results.places() if p.connections == BATCHED or p.width == USUAL]
    best = results.best()
    rows = []
    for place in places:
        own = best.get((place, "ours"))
        peers = [c for (at, n), c in best.items() if at == place and not PEERS[n].is_ours]
        rate = max((cell.requests_per_s for cell in peers), default=0.0)
        rows.append(
            [
                f"{place.model}, {place.width} px, c={place.connections}",
                *map(_milliseconds, (own.requests_per_s if own else 0.0, rate)),
            ]
        )
    head = ["cost", "HashStagram, ms a photo", "best peer, ms a photo"]
    return "How cost grows with photo size, model and clients:\n\n" + table(head, rows)


def _milliseconds(rate: float) -> str:
    return f"{1000 / rate:.1f}" if rate else "-"


def _batches(results: Results) -> str:
    """The network alone by batch size."""
    if not results.passes:
        return ""
    sizes = sorted({each.batch for each in results.passes})
    times = {(p.model, p.engine, p.batch): p.ms_a_photo for p in results.passes}
    rows = [
        [f"{model}, {engine}", *(_number(times.get((model, engine, size))) for size in sizes)]
        for model, engine in dict.fromkeys((p.model, p.engine) for p in results.passes)
    ]
    head = ["batch", *map(str, sizes)]
    return "The network alone, ms a photo on all cores:\n\n" + table(head, rows)


def _skipped(results: Results) -> str:
    lines = list(_reasons(results))
    return "\n".join(["Left out:", "", *lines]) if lines else ""


def _reasons(results: Results) -> Iterator[str]:
    for name, reason in results.skipped.items():
        yield f"- {name}: {reason}"
