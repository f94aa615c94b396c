"""Botswana: a satellite's strip over the Okavango Delta, with classes of about 100 to 300 pixels."""

from benchmark.scenes.base import EHU_FILES, EHU_PAGE, SceneCard, SceneFile

SCENE = SceneCard(
    name="botswana",
    title="Botswana",
    shape=(1476, 256, 145),
    class_names=(
        "Water",
        "Hippo grass",
        "Floodplain grasses 1",
        "Floodplain grasses 2",
        "Reeds",
        "Riparian",
        "Firescar",
        "Island interior",
        "Acacia woodlands",
        "Acacia shrublands",
        "Acacia grasslands",
        "Short mopane",
        "Mixed mopane",
        "Exposed soils",
    ),
    class_counts=(270, 101, 251, 215, 269, 269, 259, 203, 314, 248, 305, 181, 268, 95),
    label_ids=tuple(range(1, 15)),
    files={
        "cube": SceneFile(path="Botswana/Botswana.mat", key="Botswana", url=f"{EHU_FILES}7/72/Botswana.mat"),
        "labels": SceneFile(
            path="Botswana/Botswana_gt.mat",
            key="Botswana_gt",
            sha256="668394905e10e629c16584bfd02b0f533b96d6ba18a63274a94ff3a77126a887",
            url=f"{EHU_FILES}5/58/Botswana_gt.mat",
        ),
    },
    source=EHU_PAGE,
    credit="NASA EO-1 / Hyperion, Okavango Delta, Botswana, 31 May 2001, UT Center for Space Research",
    sensor="Hyperion",
    gsd_m=30.0,
    range_nm=(400.0, 2500.0),
    bands_removed="97 of 242; kept are 10-55, 82-97, 102-119, 134-164, 187-220",
)
