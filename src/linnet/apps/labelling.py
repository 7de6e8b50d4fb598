"""Names beside points, none on another.

    points, names, lines -> places around each point -> the first free one, near before far

Greedy: a name that found its place keeps it, so the important ones are given first. Where nothing
is free, the place that covers least is taken. Far names are tied to their points by a thin line.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:  # The checks at run time take it for an object: matplotlib is heavy and optional.
    Axes = object

# Where a name is tried: distances in printer's points, directions by halves of right angles and,
# at each distance, the horizontal first. Past the second distance it is tied to its point.
_DISTANCES, _TIED = (6.0, 11.0, 18.0, 26.0, 36.0, 48.0), 12.0
_DIRECTIONS = (0, 180, 90, 270, 45, 315, 135, 225)
_MARKER, _AIR = 3.5, 1.0  # points: half a marker, room around a name
_LINE_STEP = 4.0  # pixels between two looks at a line
# What covering a pixel of a name or a marker costs, a piece of a line, a pixel beyond the edge.
_COVERED, _CROSSED, _OUTSIDE = 10.0, 60.0, 100.0

Boxes = Float64[np.ndarray, "boxes 4"]  # left, bottom, right, top


@dataclass(frozen=True)
class Label:
    """A name and the point it belongs to, in the numbers of the axes."""

    name: str
    spot: tuple[float, float]
    colour: str
    size: float


def place(
    axes: Axes, labels: Sequence[Label], lines: Sequence[Sequence[tuple[float, float]]]
) -> None:
    """Write names beside their points; the axes' limits must be final.

    Args:
        axes: where.
        labels: names, the most important first.
        lines: that names rather not cross, each as its corners.
    """
    scale = axes.figure.dpi / 72
    spots = np.array([axes.transData.transform(label.spot) for label in labels]).reshape(-1, 2)
    half = _MARKER * scale
    taken = np.concatenate([spots - half, spots + half], axis=1)
    crossings = _crossings(axes, lines)
    for label, spot in zip(labels, spots, strict=True):
        tried = _tried(spot, _extent(axes, label), scale)
        costs = [
            _COVERED * _covered(box, taken)
            + _CROSSED * float((_overlaps(box, crossings) > 0).sum())
            + _OUTSIDE * _outside(axes, box)
            for box, _ in tried
        ]
        # The first of equals, and so the nearest.
        box, distance = tried[int(np.argmin(costs))]
        taken = np.vstack([taken, box])
        middle = ((box[:2] + box[2:]) / 2 - spot) / scale
        axes.annotate(
            label.name,
            label.spot,
            xytext=(float(middle[0]), float(middle[1])),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=label.size,
            color=label.colour,
            arrowprops={
                "arrowstyle": "-",
                "color": label.colour,
                "linewidth": 0.5,
                "alpha": 0.6,
                "shrinkA": 0,
                "shrinkB": _MARKER,
            }
            if distance > _TIED
            else None,
        )


def _extent(axes: Axes, label: Label) -> tuple[float, float]:
    """Give width and height of a name in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    written = axes.annotate(label.name, label.spot, fontsize=label.size)
    box = written.get_window_extent(FigureCanvasAgg(axes.get_figure(root=True)).get_renderer())
    written.remove()
    return float(box.width), float(box.height)


def _tried(
    spot: Float64[np.ndarray, " 2"], extent: tuple[float, float], scale: float
) -> list[tuple[Float64[np.ndarray, " 4"], float]]:
    """Give the places around a point, nearest first, each with its distance in points."""
    half = np.array(extent) / 2 + _AIR * scale
    places = []
    for distance in _DISTANCES:
        for degrees in _DIRECTIONS:
            way = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])
            # The edge of the name, not its middle, stands at the distance.
            middle = spot + way * distance * scale + np.sign(way.round(9)) * half
            places.append((np.concatenate([middle - half, middle + half]), distance))
    return places


def _overlaps(box: Float64[np.ndarray, " 4"], others: Boxes) -> Float64[np.ndarray, " boxes"]:
    """Give the area that a box shares with each of the others."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return np.asarray(np.clip(sides, 0, None).prod(axis=1))


def _covered(box: Float64[np.ndarray, " 4"], taken: Boxes) -> float:
    return float(_overlaps(box, taken).sum())


def _outside(axes: Axes, box: Float64[np.ndarray, " 4"]) -> float:
    """Give how far a box reaches over the edge of the axes, in pixels."""
    edge = axes.bbox
    beyond = [edge.x0 - box[0], edge.y0 - box[1], box[2] - edge.x1, box[3] - edge.y1]
    return float(np.clip(beyond, 0, None).sum())


def _crossings(axes: Axes, lines: Sequence[Sequence[tuple[float, float]]]) -> Boxes:
    """Cut lines into small boxes."""
    pieces = [np.zeros((0, 2))]
    for line in lines:
        corners = np.array([axes.transData.transform(corner) for corner in line])
        for start, end in itertools.pairwise(corners):
            count = 1 + int(np.hypot(*(end - start)) / _LINE_STEP)
            pieces.append(start + (end - start) * np.linspace(0, 1, count + 1)[:, None])
    points = np.concatenate(pieces)
    return np.concatenate([points - 0.5, points + 0.5], axis=1)
