"""Pavia University: urban, nine classes, the scene whose random pairs are most often false negatives."""

from benchmark.scenes.base import EHU_FILES, EHU_PAGE, FixedSplitFiles, SceneCard, SceneFile

_TEST = SceneFile(
    path="PaviaU/TSpaviaU.mat",
    key="TSpaviaU",
    sha256="bea2b7592e27456c187cf57ed0cbf8ffeb45294e811da7516cb0d9ce7f073173",
)
_SAME_IDS = {i: i - 1 for i in range(1, 10)}

SCENE = SceneCard(
    name="pavia_university",
    title="Pavia University",
    shape=(610, 340, 103),
    class_names=(
        "Asphalt",
        "Meadows",
        "Gravel",
        "Trees",
        "Painted metal sheets",
        "Bare Soil",
        "Bitumen",
        "Self-Blocking Bricks",
        "Shadows",
    ),
    class_counts=(6631, 18649, 2099, 3064, 1345, 5029, 1330, 3682, 947),
    label_ids=tuple(range(1, 10)),
    files={
        "cube": SceneFile(
            path="PaviaU/PaviaU.mat",
            key="paviaU",
            sha256="28447fa87f7a5797845e9a189c0da85e23b1d06a4ba7361e5ff44efbf834d2fb",
            is_verified=False,
            git_blob="6eecc933bedec1130bb046483dd12e25cf091b24",
            url=f"{EHU_FILES}e/ee/PaviaU.mat",
        ),
        "labels": SceneFile(
            path="PaviaU/PaviaU_gt.mat",
            key="paviaU_gt",
            sha256="23f6a426928f9b32984adffe659e29f554f9fb6c93b5a107528d308d5087a829",
            url=f"{EHU_FILES}5/50/PaviaU_gt.mat",
        ),
    },
    source=EHU_PAGE,
    credit="P. Gamba, University of Pavia / ROSIS",
    sensor="ROSIS",
    gsd_m=1.3,
    range_nm=(430.0, 860.0),
    bands_removed="12 noisy bands of 115",
    fixed_splits={
        "fixed": FixedSplitFiles(
            files={
                "train": SceneFile(
                    path="PaviaU/TRpaviaU_3921.mat",
                    key="TRpaviaU",
                    sha256="783bf32ee43172cb7cfe76ea381401af4b57dc1bd53ccdf49137976aa3ded77d",
                ),
                "test": _TEST,
            },
            classes=_SAME_IDS,
            source="the fixed Pavia University split, 3921 training and 40002 test pixels",
            known_defects="1147 of its 3921 training pixels are unlabelled in PaviaU_gt",
        ),
        "fixed_2774": FixedSplitFiles(
            files={
                "train": SceneFile(
                    path="PaviaU/TRpaviaU_2774_gt_subset.mat",
                    key="TRpaviaU",
                    sha256="b536fa409145b8d60920160081159b80c16d03db984238ede1235ad14d16d793",
                ),
                "test": _TEST,
            },
            classes=_SAME_IDS,
            source="the fixed Pavia University split, only the 2774 training pixels that PaviaU_gt labels",
        ),
    },
)
