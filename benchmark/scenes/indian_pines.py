"""Indian Pines, water bands removed: the embedded default scene, which the package tensorly ships."""

from benchmark.scenes.base import EHU_FILES, EHU_PAGE, FixedSplitFiles, SceneCard, SceneFile

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
            also=(
                SceneFile(
                    path="Indian_pines_corrected.mat",
                    key="indian_pines_corrected",
                    sha256="ec2f8808710919d566f70f0d4aa885aae1ddfd42b734aba71c5e12ca65450939",
                    is_verified=False,
                    git_blob="75b6d6e7df046fce91eda23e7559e274c92da711",
                    url=f"{EHU_FILES}6/67/Indian_pines_corrected.mat",
                ),
            ),
        ),
        "labels": SceneFile(
            path="Indian_pines_gt.npy",
            sha256="44610d21625b311b05b8e0c4ba9a6cc755c2fbb9df48e4d89419024aa6ad3f9d",
            also=(
                SceneFile(
                    path="Indian_pines_gt.mat",
                    key="indian_pines_gt",
                    sha256="65c4687a8ab04f6da4789799bc3bc4f6e88bccac3ed6a2e6ae367e5e6b9e429c",
                    url=f"{EHU_FILES}c/c4/Indian_pines_gt.mat",
                ),
            ),
        ),
    },
    source=f"the PyPI package tensorly, or {EHU_PAGE}",
    credit="Purdue University / AVIRIS, 12 June 1992, Indian Pine Test Site 3",
    sensor="AVIRIS",
    gsd_m=20.0,
    range_nm=(400.0, 2500.0),
    bands_removed="20 water absorption bands of 220: 104-108, 150-163, 220",
    package=("tensorly", "datasets/data"),
    fixed_splits={
        "mini_gcn": FixedSplitFiles(
            files={
                "train": SceneFile(
                    path="IndianPines_splits/IndianTR123_temp123.tif",
                    sha256="9f7cb2caea985577c11bbeea1086c9348aa067ab7e3825d2fa671508b4ae6684",
                ),
                "test": SceneFile(
                    path="IndianPines_splits/IndianTE123_temp123.tif",
                    sha256="f7a8e34026ce97a4a21918441f7b03dba0718f63ff2619d1a35dcaa33da24ad3",
                ),
            },
            # Its classes stand in another order: large ones first, then those with 15 training pixels.
            classes=dict(enumerate((1, 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 14, 15, 0, 6, 8), start=1)),
            source="the split of miniGCN and SpectralFormer, 695 training and 9671 test pixels",
            known_defects=(
                "made from another edition of the ground truth: 26 of its training and 230 of its test pixels are "
                "unlabelled in this one, 139 labelled pixels are in neither"
            ),
        ),
    },
)
