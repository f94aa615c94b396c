"""A region of Pavia University, 5.4% of the scene: never to be called, or compared with, Pavia University."""

from benchmark.scenes.base import EHU_PAGE, SceneCard, SceneFile

_FILE = "PaviaU_ROI/UPavia_Subset.mat"
_SHA256 = "a86d1bf7c4dc03614a1000aef682e71b481c22f193e2542e3f80b1b0adf41f82"

SCENE = SceneCard(
    name="pavia_university_roi",
    title="Pavia University ROI",
    shape=(140, 80, 103),
    class_names=(
        "Asphalt",
        "Meadows",
        "Trees",
        "Painted metal sheets",
        "Bare Soil",
        "Bitumen",
        "Self-Blocking Bricks",
        "Shadows",
    ),
    class_counts=(86, 461, 52, 311, 342, 1234, 249, 193),
    label_ids=(1, 2, 4, 5, 6, 7, 8, 9),
    files={
        "cube": SceneFile(path=_FILE, key="paviaU", sha256=_SHA256),
        "labels": SceneFile(path=_FILE, key="paviaU_gt", sha256=_SHA256),
    },
    source=f"the file UPavia_Subset.mat; the same pixels are PaviaU[229:369, 89:169] of {EHU_PAGE}",
    credit="P. Gamba, University of Pavia / ROSIS",
    sensor="ROSIS",
    gsd_m=1.3,
    range_nm=(430.0, 860.0),
    bands_removed="12 noisy bands of 115",
    note="rows 229-368 and columns 89-168 of Pavia University, 8 of its 9 classes",
)
