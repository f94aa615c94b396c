"""Pavia Centre in the edition of 715 columns, without the blank strip of the one of 1096."""

from benchmark.scenes.base import EHU_FILES, EHU_PAGE, SceneCard, SceneFile

SCENE = SceneCard(
    name="pavia_centre",
    title="Pavia Centre",
    shape=(1096, 715, 102),
    class_names=(
        "Water",
        "Trees",
        "Asphalt",
        "Self-Blocking Bricks",
        "Bitumen",
        "Tiles",
        "Shadows",
        "Meadows",
        "Bare Soil",
    ),
    class_counts=(65971, 7598, 3090, 2685, 6584, 9248, 7287, 42826, 2863),
    label_ids=tuple(range(1, 10)),
    files={
        "cube": SceneFile(
            path="Pavia/Pavia.mat",
            key="pavia",
            url=f"{EHU_FILES}e/e3/Pavia.mat",
            also=(SceneFile(path="PaviaC.mat", key="paviaC"),),
        ),
        "labels": SceneFile(
            path="Pavia/Pavia_gt.mat",
            key="pavia_gt",
            url=f"{EHU_FILES}5/53/Pavia_gt.mat",
            also=(SceneFile(path="PaviaC_gt.mat", key="paviaC_gt"),),
        ),
    },
    source=EHU_PAGE,
    credit="P. Gamba, University of Pavia / ROSIS",
    sensor="ROSIS",
    gsd_m=1.3,
    range_nm=(430.0, 860.0),
    bands_removed="13 noisy bands of 115",
    note=(
        "1096 x 715 pixels, not the 1096 x 1096 with a blank strip; "
        "class names as on the EHU page, other lists give the ids 3 to 9 other names"
    ),
)
