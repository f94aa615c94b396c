"""What a scene is, for a person to compare with what they meant."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.files.cube_blocks import CubeStatistics, Tell, cube_statistics
from benchmark.scene import Scene


@dataclass(frozen=True)
class SceneSummary:
    """What a scene is, for a person to compare with what they meant.

    Attributes:
        name: the scene's name.
        shape: (height, width, bands).
        dtype: of the cube.
        values: range, median and constant bands of the cube.
        wavelengths_nm: first and last, None where not known.
        labelled_share: share of pixels with a label, 0..1.
        class_counts: class name -> pixels.
        provenance: source, licence and credit.
    """

    name: str
    shape: tuple[int, int, int]
    dtype: str
    values: CubeStatistics
    wavelengths_nm: tuple[float, float] | None
    labelled_share: float
    class_counts: dict[str, int]
    provenance: str

    @property
    def value_range(self) -> tuple[float, float]:
        """Smallest and largest value."""
        return self.values.low, self.values.high

    def lines(self) -> list[str]:
        """Return the summary as lines of text."""
        height, width, bands = self.shape
        values, waves = self.values, self.wavelengths_nm
        about = "" if values.is_median_exact else "about "
        constant = [str(band + 1) for band in values.constant_bands]
        more = f" and {len(constant) - 20} more" if len(constant) > 20 else ""
        return [
            f"{self.name}: {height} x {width} pixels, {bands} bands, {self.dtype}",
            f"values: {values.low:g} to {values.high:g}, median {about}{values.median:g}",
            f"wavelengths: {f'{waves[0]:g} to {waves[1]:g} nm' if waves else 'not known'}",
            f"constant bands, counted from 1: {', '.join(constant[:20]) + more or 'none'}",
            f"source: {self.provenance}",
            f"labelled: {100 * self.labelled_share:.1f}% of the pixels",
            *(f"{count:8d}  {name}" for name, count in self.class_counts.items()),
        ]


def describe(scene: Scene, tell: Tell | None = None) -> SceneSummary:
    """Return the summary of a scene. Cost: one pass over its cube."""
    waves = scene.wavelengths_nm
    height, width, bands = scene.cube.shape
    return SceneSummary(
        name=scene.name,
        shape=(height, width, bands),
        dtype=str(scene.cube.dtype),
        values=cube_statistics(scene.cube, tell),
        wavelengths_nm=None if waves is None else (float(waves[0]), float(waves[-1])),
        labelled_share=float((scene.labels >= 0).mean()),
        class_counts=dict(zip(scene.class_names, scene.class_counts.tolist(), strict=True)),
        provenance=scene.provenance,
    )
