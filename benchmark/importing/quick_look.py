"""A quick look at a scene: false colour beside the label map, to see at once whether files were understood."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from benchmark.scene import Scene
from hsicl_core.errors import InvalidValueError, MissingPackageError

# Red, green and blue light, in nm, and how far the nearest band may be.
_LIGHT_NM = (650.0, 550.0, 450.0)
_NEAR_NM = 40.0
_MOST_PIXELS_PER_SIDE = 800
_UNLABELLED = (0.93, 0.93, 0.93, 1.0)
_MOST_CLASSES_NAMED = 40


def draw_quick_look(scene: Scene, path: Path) -> Path:
    """Draw a false-colour image beside the label map and return ``path``. Large scenes are thinned out.

    Args:
        scene: the scene; where its wavelengths reach from red to blue the colours are natural.
        path: picture to write, whole or not at all; its ending names the format, e.g. ``.png``.

    Raises:
        InvalidValueError: the picture cannot be written there.
        MissingPackageError: matplotlib is not installed.
    """
    try:
        from matplotlib import colormaps
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.colors import ListedColormap
        from matplotlib.figure import Figure
        from matplotlib.patches import Patch
    except ImportError as error:
        raise MissingPackageError("matplotlib", "a quick look") from error

    step = -(-max(scene.labels.shape) // _MOST_PIXELS_PER_SIDE)
    bands = shown_bands(scene)
    image = np.stack([stretched(scene.cube[::step, ::step, band]) for band in bands], axis=2)
    n = scene.n_classes
    usual = colormaps["tab20"](np.arange(n)) if n <= 20 else colormaps["gist_ncar"](np.linspace(0.05, 0.95, n))
    palette = list(scene.colours or usual)
    height, width = image.shape[:2]
    map_width, map_height = (4.0 * side / max(height, width) for side in (width, height))
    figure = Figure(figsize=(2 * max(map_width, 1.5) + 2.6, max(map_height, 1.5) + 0.8))
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2)
    axes[0].imshow(image, interpolation="nearest")
    axes[0].set_title(f"bands {', '.join(str(band + 1) for band in bands)}", fontsize=8)
    axes[1].imshow(
        scene.labels[::step, ::step] + 1, cmap=ListedColormap([_UNLABELLED, *palette]), vmin=0, vmax=n,
        interpolation="nearest",
    )  # fmt: skip
    axes[1].set_title("labels", fontsize=8)
    for axis in axes:
        axis.set_axis_off()
    # A dollar sign would start a formula.
    names = [name.replace("$", r"\$")[:40] for name in scene.class_names[:_MOST_CLASSES_NAMED]]
    handles = [Patch(color=colour, label=name) for colour, name in zip(palette, names, strict=False)]
    handles.append(Patch(color=_UNLABELLED, label="unlabelled"))
    axes[1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=6, frameon=False)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".hsicl_quick_look_") as draft, catch_warnings():
            # A letter that the font does not have is drawn as a box.
            simplefilter("ignore")
            finished = Path(draft) / path.name
            figure.savefig(finished, dpi=120, bbox_inches="tight")
            os.replace(finished, path)
    except (OSError, ValueError) as error:
        raise InvalidValueError(
            f"quick look {str(path)!r} cannot be written ({error}): give --quick-look another FILE.png"
        ) from error
    return path


def shown_bands(scene: Scene) -> tuple[int, int, int]:
    """Return the bands shown as red, green and blue: those of that light where known, else three spread evenly."""
    waves = scene.wavelengths_nm
    if waves is not None:
        nearest = [int(np.argmin(np.abs(waves - light))) for light in _LIGHT_NM]
        if all(abs(waves[band] - light) <= _NEAR_NM for band, light in zip(nearest, _LIGHT_NM, strict=True)):
            return nearest[0], nearest[1], nearest[2]
    n = scene.cube.shape[2]
    return int(0.8 * (n - 1)), int(0.5 * (n - 1)), int(0.2 * (n - 1))


def stretched(band: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return one band as 0..1, its 2nd percentile and below 0, its 98th and above 1."""
    values = band.astype(np.float64)
    low, high = np.percentile(values, [2, 98])
    return np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)
