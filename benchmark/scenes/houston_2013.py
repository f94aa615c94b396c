"""Houston 2013: the scene of the IEEE GRSS Data Fusion Contest, labelled by its training and its test map."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmark.scenes.base import FixedSplitFiles, SceneCard, SceneFile

_TRAIN = SceneFile(
    path="Houston2013/TRLabel_map.mat",
    key="TRLabel",
    sha256="b0ea556a4a05176f4aeccadf3aee51fee35f70365fdaa810aab85190a41aa7fc",
)
_TEST = SceneFile(
    path="Houston2013/TSLabel_map.mat",
    key="TSLabel",
    sha256="43759d8fd94f0030800238eca04e097a22865b1b396ddb8116b635ade5c301ce",
)


def _assemble(arrays: Mapping[str, NDArray[np.generic]]) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    # The two maps share no pixel.
    return arrays["cube"], np.where(arrays["train"] != 0, arrays["train"], arrays["test"])


SCENE = SceneCard(
    name="houston_2013",
    title="Houston 2013",
    shape=(349, 1905, 144),
    class_names=(
        "Healthy grass",
        "Stressed grass",
        "Synthetic grass",
        "Trees",
        "Soil",
        "Water",
        "Residential",
        "Commercial",
        "Road",
        "Highway",
        "Railway",
        "Parking Lot 1",
        "Parking Lot 2",
        "Tennis Court",
        "Running Track",
    ),
    class_counts=(1251, 1254, 697, 1244, 1242, 325, 1268, 1244, 1252, 1227, 1235, 1233, 469, 428, 660),
    label_ids=tuple(range(1, 16)),
    files={
        "cube": SceneFile(
            path="Houston2013/2013_IEEE_GRSS_DF_Contest_CASI.tif",
            url="https://machinelearning.ee.uh.edu/2egf4tg8hial13gt/2013_DFTC.zip",
            member="2013_IEEE_GRSS_DF_Contest_CASI.tif",
            also=(SceneFile(path="Houston.mat", key="Houston"),),
        ),
        "train": _TRAIN,
        "test": _TEST,
    },
    source="any public copy of the 2013 IEEE GRSS Data Fusion Contest's label maps",
    credit=(
        "University of Houston / NSF-funded Center for Airborne Laser Mapping, 2013 IEEE GRSS Data Fusion Contest "
        "(doi 10.1109/JSTARS.2014.2305441)"
    ),
    licence="the contest's terms of use",
    sensor="ITRES CASI-1500",
    gsd_m=2.5,
    range_nm=(380.0, 1050.0),
    note="labels are the union of the contest's training and test maps",
    fixed_splits={
        "contest": FixedSplitFiles(
            files={"train": _TRAIN, "test": _TEST},
            classes={i: i - 1 for i in range(1, 16)},
            source="2013 IEEE GRSS Data Fusion Contest, 2832 training and 12197 test pixels",
        ),
    },
    assemble=_assemble,
)
