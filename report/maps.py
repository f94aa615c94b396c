"""Classification maps as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from report.errors import ReportError
from report.text import figure_text

_UNLABELLED = (0.93, 0.93, 0.93, 1.0)
_RIGHT, _WRONG = (0.78, 0.85, 0.92, 1.0), (0.80, 0.15, 0.10, 1.0)


def draw_classification_map(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], class_names: Sequence[str], path: Path, *, title: str = ""
) -> Path:
    """Draw ground truth, prediction and errors side by side and return ``path``.

    Args:
        truth: (height, width) class indices, -1 = unlabelled.
        predicted: (height, width) class indices.
        class_names: names in index order.
        path: picture to write; its ending names the format, e.g. ``.png`` or ``.svg``.
        title: line above the pictures.

    Raises:
        ReportError: the picture cannot be written there.
    """
    colours = ListedColormap(np.vstack([_UNLABELLED, _palette(len(class_names))]))
    errors = np.where(truth < 0, 0, np.where(truth == predicted, 1, 2))
    height, width = truth.shape
    # The long side of a map is four inches; the legend is as wide as a map, but not narrower than its text.
    map_width = 4.0 * width / max(height, width)
    map_height = 4.0 * height / max(height, width)
    figure = Figure(figsize=(3 * map_width + 2.6, max(map_height + 0.8, 0.22 * len(class_names) + 1.4)))
    FigureCanvasAgg(figure)
    figure.suptitle(figure_text(title, 160), fontsize=9)
    axes = figure.subplots(1, 4, width_ratios=[map_width, map_width, map_width, 2.4])
    panels = (
        ("ground truth", truth + 1, colours, len(class_names)),
        ("prediction", predicted + 1, colours, len(class_names)),
        ("errors on labelled pixels", errors, ListedColormap([_UNLABELLED, _RIGHT, _WRONG]), 2),
    )
    for axis, (heading, image, palette, top) in zip(axes, panels, strict=False):
        axis.imshow(image, cmap=palette, vmin=0, vmax=top, interpolation="nearest")
        axis.set_title(heading, fontsize=9)
        axis.set_axis_off()
    handles = [Patch(color=colours(index + 1), label=figure_text(name)) for index, name in enumerate(class_names)]
    handles += [Patch(color=_UNLABELLED, label="unlabelled"), Patch(color=_WRONG, label="error")]
    axes[3].set_axis_off()
    axes[3].legend(handles=handles, loc="center left", fontsize=7, frameon=False)
    try:
        figure.savefig(path, dpi=150, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise ReportError(f"map {str(path)!r} cannot be written ({error}): choose another --out") from error
    return path


def _palette(n: int) -> NDArray[np.float64]:
    """Return (n, 4) colours, as different as n colours can be."""
    if n <= 20:
        return np.asarray(colormaps["tab20"](np.arange(n)))
    return np.asarray(colormaps["gist_ncar"](np.linspace(0.05, 0.95, n)))
