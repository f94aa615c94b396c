"""Salinas, water bands removed."""

from benchmark.scenes.base import EHU_FILES, EHU_PAGE, SceneCard, SceneFile

SCENE = SceneCard(
    name="salinas",
    title="Salinas",
    shape=(512, 217, 204),
    class_names=(
        "Brocoli_green_weeds_1",
        "Brocoli_green_weeds_2",
        "Fallow",
        "Fallow_rough_plow",
        "Fallow_smooth",
        "Stubble",
        "Celery",
        "Grapes_untrained",
        "Soil_vinyard_develop",
        "Corn_senesced_green_weeds",
        "Lettuce_romaine_4wk",
        "Lettuce_romaine_5wk",
        "Lettuce_romaine_6wk",
        "Lettuce_romaine_7wk",
        "Vinyard_untrained",
        "Vinyard_vertical_trellis",
    ),
    class_counts=(2009, 3726, 1976, 1394, 2678, 3959, 3579, 11271, 6203, 3278, 1068, 1927, 916, 1070, 7268, 1807),
    label_ids=tuple(range(1, 17)),
    files={
        "cube": SceneFile(
            path="Salinas/Salinas_corrected.mat",
            key="salinas_corrected",
            sha256="5ec1c0d22f56d18ecd336f8e35735863c0f160682e04e0c18ef3f89a3334d87d",
            is_verified=False,
            git_blob="2a745377a77369bd5a9d430c722f0bf5e0d0ffc1",
            url=f"{EHU_FILES}a/a3/Salinas_corrected.mat",
        ),
        "labels": SceneFile(
            path="Salinas/Salinas_gt.mat",
            key="salinas_gt",
            sha256="ecfab4d31ef5553f097943235d8ea502038eb4a2067b2ad10b33e37c949955e2",
            url=f"{EHU_FILES}f/fa/Salinas_gt.mat",
        ),
    },
    source=EHU_PAGE,
    credit="Purdue University / AVIRIS, Salinas Valley, California",
    sensor="AVIRIS",
    gsd_m=3.7,
    range_nm=(400.0, 2500.0),
    bands_removed="20 water absorption bands of 224: 108-112, 154-167, 224",
)
