"""Kennedy Space Center: wetland vegetation, of which 1.7% of the pixels are labelled."""

from benchmark.scenes.base import EHU_FILES, EHU_PAGE, SceneCard, SceneFile

SCENE = SceneCard(
    name="ksc",
    title="Kennedy Space Center",
    shape=(512, 614, 176),
    class_names=(
        "Scrub",
        "Willow swamp",
        "Cabbage palm hammock",
        "Cabbage palm/oak hammock",
        "Slash pine",
        "Oak/broadleaf hammock",
        "Hardwood swamp",
        "Graminoid marsh",
        "Spartina marsh",
        "Cattail marsh",
        "Salt marsh",
        "Mud flats",
        "Water",
    ),
    class_counts=(761, 243, 256, 252, 161, 229, 105, 431, 520, 404, 419, 503, 927),
    label_ids=tuple(range(1, 14)),
    files={
        "cube": SceneFile(
            path="KSC/KSC.mat",
            key="KSC",
            git_blob="6cbb7742851216118ddeff9011482fff5aca3698",
            url=f"{EHU_FILES}2/26/KSC.mat",
        ),
        "labels": SceneFile(
            path="KSC/KSC_gt.mat",
            key="KSC_gt",
            sha256="a1d6ab9293691006bd4d9742d1a1e1c141b1aaa5fbc5fa128b33c1d09038510b",
            url=f"{EHU_FILES}a/a6/KSC_gt.mat",
        ),
    },
    source=EHU_PAGE,
    credit="NASA / AVIRIS, Kennedy Space Center, Florida, 23 March 1996",
    sensor="AVIRIS",
    gsd_m=18.0,
    range_nm=(400.0, 2500.0),
    bands_removed="48 water absorption and low SNR bands of 224",
)
