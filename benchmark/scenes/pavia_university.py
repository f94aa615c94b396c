"""Pavia University: urban, nine classes, the scene whose random pairs are most often false negatives."""

from benchmark.scenes.base import EHU_FILES, EHU_PAGE, SceneCard, SceneFile

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
)
