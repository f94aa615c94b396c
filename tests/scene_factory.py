"""A small scene made from a seed, for tests that must not depend on any file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.scene import Scene


def tiny_labels(height: int = 40, width: int = 48, n_classes: int = 4) -> NDArray[np.int64]:
    """Two compact fields per class, one in each half of the image, with one unlabelled pixel around every field.

    Args:
        height: rows, >= 8.
        width: columns, >= 4 * n_classes.
        n_classes: classes, >= 2.

    Returns:
        (height, width) int64, -1 between the fields, else 0..n_classes-1.
    """
    assert height >= 8
    assert width >= 4 * n_classes >= 8
    labels = np.full((height, width), -1, dtype=np.int64)
    rows = np.linspace(0, height, 3).astype(int)
    columns = np.linspace(0, width, n_classes + 1).astype(int)
    for i in range(2):
        for j in range(n_classes):
            # The lower row of fields is shifted, so that a class is not one column of the image.
            label = (j + i * max(1, n_classes // 2)) % n_classes
            labels[rows[i] + 1 : rows[i + 1] - 1, columns[j] + 1 : columns[j + 1] - 1] = label
    return labels


def tiny_scene(height: int = 40, width: int = 48, bands: int = 12, n_classes: int = 4, seed: int = 0) -> Scene:
    """A scene with compact fields and noisy spectra: one pixel tells the classes apart often, a patch nearly always.

    Args:
        height: rows, >= 8.
        width: columns, >= 4 * n_classes.
        bands: spectral bands, >= 2.
        n_classes: classes, >= 2.
        seed: seed of spectra and noise; the label map does not depend on it.

    Returns:
        A scene with a float32 cube of shape (height, width, bands).
    """
    generator = np.random.default_rng(seed)
    labels = tiny_labels(height, width, n_classes)
    position = np.linspace(0, 1, bands)
    # Row n_classes is the spectrum of the unlabelled pixels. Three harmonics make smooth, spectrum-like curves.
    amplitudes = generator.normal(size=(n_classes + 1, 3)) / (1, 2, 3)
    phases = generator.uniform(0, 2 * np.pi, size=(n_classes + 1, 3))
    waves = np.sin(2 * np.pi * position[None, None, :] * np.arange(1, 4)[None, :, None] + phases[..., None])
    spectra = 5 + np.einsum("kh,khb->kb", amplitudes, waves)
    illumination = 1 + 0.1 * np.sin(np.linspace(0, 3, height))[:, None] * np.cos(np.linspace(0, 4, width))[None, :]
    noise = generator.normal(scale=0.8, size=(height, width, bands))
    cube = (spectra[labels] * illumination[..., None] + noise).astype(np.float32)
    return Scene(
        name="tiny",
        cube=cube,
        labels=labels,
        class_names=tuple(f"field {k}" for k in range(n_classes)),
        wavelengths_nm=np.linspace(400.0, 2500.0, bands),
        provenance=f"made by tests/scene_factory.py from seed {seed}",
    )
