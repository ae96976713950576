"""Plot: photos a second of each service, as a small SVG for the docs."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from benchmarks.peers.catalogue import PEERS
from benchmarks.peers.results import Place, Results

CONNECTIONS = 8
COLOURS = {True: "#d1495b", False: "#8d99ae"}  # ours, and the others


def save_plot(results: Results, path: Path) -> None:
    """Bars for each model and photo size at CONNECTIONS; the same results give the same bytes."""
    places = [place for place in results.places() if place.connections == CONNECTIONS]
    figure = Figure(figsize=(7.5, 0.6 + 1.9 * len(places)), layout="constrained")
    for number, place in enumerate(places, start=1):
        _bars(figure.add_subplot(len(places), 1, number), results, place)
    with matplotlib.rc_context({"svg.hashsalt": "hashstagram", "font.size": 8}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _bars(axes: matplotlib.axes.Axes, results: Results, place: Place) -> None:
    best = results.best()
    cells = [best[place, name] for name in results.services() if (place, name) in best]
    cells.sort(key=lambda cell: cell.requests_per_s)
    peers = [PEERS[cell.peer] for cell in cells]
    bars = axes.barh(
        [peer.title for peer in peers],
        [cell.requests_per_s for cell in cells],
        color=[COLOURS[peer.is_ours] for peer in peers],
    )
    axes.bar_label(bars, fmt="%.1f", padding=2)
    axes.set_title(f"{place.model}, {place.width} px, {place.connections} connections: photos/s")
    axes.spines[["top", "right"]].set_visible(False)
