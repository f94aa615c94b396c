"""Indian Pines, water bands removed: the embedded default scene, which the package tensorly ships."""

from benchmark.scenes.base import EHU_PAGE, SceneCard, SceneFile

SCENE = SceneCard(
    name="indian_pines",
    title="Indian Pines",
    shape=(145, 145, 200),
    class_names=(
        "Alfalfa",
        "Corn-notill",
        "Corn-mintill",
        "Corn",
        "Grass-pasture",
        "Grass-trees",
        "Grass-pasture-mowed",
        "Hay-windrowed",
        "Oats",
        "Soybean-notill",
        "Soybean-mintill",
        "Soybean-clean",
        "Wheat",
        "Woods",
        "Buildings-Grass-Trees-Drives",
        "Stone-Steel-Towers",
    ),
    class_counts=(46, 1428, 830, 237, 483, 730, 28, 478, 20, 972, 2455, 593, 205, 1265, 386, 93),
    label_ids=tuple(range(1, 17)),
    files={
        "cube": SceneFile(
            path="Indian_pines_corrected.npy",
            sha256="8f038e4d81569e38ebfc72a15c9984c150de42580ab260be10a13442e912e451",
        ),
        "labels": SceneFile(
            path="Indian_pines_gt.npy",
            sha256="44610d21625b311b05b8e0c4ba9a6cc755c2fbb9df48e4d89419024aa6ad3f9d",
        ),
    },
    source=f"the PyPI package tensorly, or {EHU_PAGE}",
    credit="Purdue University / AVIRIS, 12 June 1992, Indian Pine Test Site 3",
    sensor="AVIRIS",
    gsd_m=20.0,
    range_nm=(400.0, 2500.0),
    bands_removed="20 water absorption bands of 220: 104-108, 150-163, 220",
    package=("tensorly", "datasets/data"),
)
