"""Classification maps as pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from report.errors import ReportError
from report.palette import UNLABELLED, class_colours
from report.text import figure_text

# Blue and red are apart for everybody.
RIGHT, WRONG = "#6baed6", "#b2182b"
# The longer side of a map, and of one more than twice as long as wide; the most dots on a side of the whole picture.
_INCHES, _LONG_INCHES, _MOST_DOTS = 4.5, 9.0, 12_000
# Rows or columns of a scene that are drawn at most.
_MOST_PIXELS = 2500


def draw_classification_map(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], class_names: Sequence[str], path: Path, *, title: str = "",
    confidence: NDArray[np.float32] | None = None, colours: Sequence[str] | None = None,
) -> Path:  # fmt: skip
    """Draw prediction, ground truth, errors and confidence beside each other and return ``path``.

    Wide scenes are stacked, tall ones stand in a row. One pixel of the scene is one dot of the picture or more; of
    scenes with more than 2500 pixels a side every second or n-th row and column is drawn, and the title says so.

    Args:
        truth: (height, width) class indices, -1 = unlabelled.
        predicted: (height, width) class indices.
        class_names: K names in index order; the legend numbers them from 1, as map files do.
        path: picture to write; its ending names the format, e.g. ``.png``, ``.svg`` or ``.pdf``.
        title: line above the pictures.
        confidence: (height, width) in 0..1; None leaves its picture out.
        colours: K colours ``#rrggbb``; None takes ``report.palette.class_colours``.

    Raises:
        ReportError: the picture cannot be written there.
    """
    check_picture(path)
    step = math.ceil(max(truth.shape) / _MOST_PIXELS)
    if step > 1:
        # matplotlib makes several copies of an image, in float64.
        truth, predicted = truth[::step, ::step], predicted[::step, ::step]
        confidence = None if confidence is None else confidence[::step, ::step]
        title = f"{title} (one of {step} rows and columns)"
    colours = colours or class_colours(len(class_names))
    shades = ListedColormap([UNLABELLED, *colours])
    errors = np.where(truth < 0, 0, np.where(truth == predicted, 1, 2))
    panels = [
        ("prediction", predicted + 1, shades),
        ("ground truth", truth + 1, shades),
        ("errors on labelled pixels", errors, ListedColormap([UNLABELLED, RIGHT, WRONG])),
    ]
    height, width = truth.shape
    n_panels = len(panels) + (confidence is not None)
    n_columns = n_panels if width <= 1.3 * height else (2 if width <= 2.2 * height else 1)
    n_rows = math.ceil(n_panels / n_columns)
    scale = (_LONG_INCHES if max(height, width) > 2 * min(height, width) else _INCHES) / max(height, width)
    # An inch and a half is what headings need however thin the map is.
    size = np.array([n_columns * max(width * scale, 1.5), n_rows * (height * scale + 0.3) + 0.3])
    figure = Figure(figsize=tuple(size), layout="constrained")
    FigureCanvasAgg(figure)
    axes: list[Axes] = list(figure.subplots(n_rows, n_columns, squeeze=False).flat)
    for axis, (heading, image, palette) in zip(axes, panels, strict=False):
        axis.imshow(image, cmap=palette, vmin=-0.5, vmax=palette.N - 0.5, interpolation="nearest")
        axis.set_title(heading, fontsize=9)
    if confidence is not None:
        shown = axes[len(panels)].imshow(confidence, cmap="cividis", norm=Normalize(0, 1), interpolation="nearest")
        axes[len(panels)].set_title("confidence", fontsize=9)
        bar = figure.colorbar(shown, ax=axes[len(panels)], fraction=0.06, pad=0.02)
        bar.ax.tick_params(labelsize=7)
    for axis in axes:
        axis.set_axis_off()
    figure.suptitle(figure_text(title, 160), fontsize=9)
    _add_legend(figure, colours, class_names, float(size[1]))
    # Enough dots for every pixel of the scene, as far as the picture stays of a size that can be opened.
    dots = min(max(150, math.ceil(1 / scale)), int(_MOST_DOTS / size.max()))
    draft = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        figure.savefig(draft, dpi=dots, bbox_inches="tight")
        os.replace(draft, path)
    except (OSError, ValueError) as error:
        raise ReportError(f"map {str(path)!r} cannot be written ({error}): choose another --out") from error
    finally:
        draft.unlink(missing_ok=True)
    return path


def check_picture(path: Path) -> None:
    """Raise ReportError unless a picture can be written there; before anything is computed."""
    known = FigureCanvasAgg.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in known:
        raise ReportError(f"map {str(path)!r}: unknown format {path.suffix!r}: end it in .png, .svg or .pdf")
    if not path.parent.is_dir():
        raise ReportError(f"map {str(path)!r}: there is no folder {str(path.parent)!r}: make it first")


def _add_legend(figure: Figure, colours: Sequence[str], class_names: Sequence[str], height: float) -> None:
    """Add the legend beside the pictures, in as many columns as their height in inches asks for."""
    names = [f"{number}  {figure_text(name)}" for number, name in enumerate(class_names, start=1)]
    entries = [*zip(colours, names, strict=True)]
    entries += [(UNLABELLED, "unlabelled"), (RIGHT, "right"), (WRONG, "wrong")]
    handles = [Patch(facecolor=colour, edgecolor="#999999", linewidth=0.4, label=label) for colour, label in entries]
    per_column = max(12, int(height / 0.16))
    figure.legend(
        handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False,
        ncols=math.ceil(len(handles) / per_column),
    )  # fmt: skip
