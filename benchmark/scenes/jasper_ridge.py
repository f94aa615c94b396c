"""Jasper Ridge: an unmixing scene whose labels are derived from reference abundances."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmark.files.raw_arrays import shaped_cube, shaped_labels
from benchmark.scenes.base import SceneCard, SceneFile


def _assemble(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    # Both files hold pixels column by column: (198 bands, pixels) and (4 materials, pixels).
    cube = shaped_cube(arrays["cube"], (100, 100, 198), "F", "jasperRidge2_R198.mat")
    return cube, shaped_labels(np.argmax(arrays["labels"], axis=0) + 1, (100, 100), "F")


SCENE = SceneCard(
    name="jasper_ridge",
    title="Jasper Ridge (derived labels)",
    shape=(100, 100, 198),
    class_names=("tree", "water", "dirt", "road"),
    class_counts=(3493, 3326, 2428, 753),
    label_ids=(1, 2, 3, 4),
    files={
        "cube": SceneFile(
            path="JasperRidge/jasperRidge2_R198.mat",
            key="Y",
            sha256="0e4118a6452f6044978a8ca3762fb0f791115467904936d463c4e111e56e682e",
        ),
        "labels": SceneFile(
            path="JasperRidge/end4.mat",
            key="A",
            sha256="92f5697b43705802b904fd13ba99b6ce65a3d203682864abc3fbec922beec374",
        ),
    },
    source="the files jasperRidge2_R198.mat and end4.mat of any public collection of unmixing scenes",
    credit="AVIRIS, Jasper Ridge, California",
    sensor="AVIRIS",
    range_nm=(380.0, 2500.0),
    bands_removed="26 of 224: 1-3, 108-112, 154-166, 220-224",
    derived_labels=True,
    note="each pixel is labelled by the largest of its four reference abundances",
    assemble=_assemble,
)
