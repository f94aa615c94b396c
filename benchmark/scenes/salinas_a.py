"""Salinas-A: a small and easy part of Salinas with six classes."""

from benchmark.scenes.base import EHU_PAGE, SceneCard, SceneFile

SCENE = SceneCard(
    name="salinas_a",
    title="Salinas-A",
    shape=(83, 86, 204),
    class_names=(
        "Brocoli_green_weeds_1",
        "Corn_senesced_green_weeds",
        "Lettuce_romaine_4wk",
        "Lettuce_romaine_5wk",
        "Lettuce_romaine_6wk",
        "Lettuce_romaine_7wk",
    ),
    class_counts=(391, 1343, 616, 1525, 674, 799),
    label_ids=(1, 10, 11, 12, 13, 14),
    files={
        "cube": SceneFile(
            path="SalinasA/SalinasA_corrected.mat",
            key="salinasA_corrected",
            sha256="d75684ed3ab71a1024cee0f9db9061f50a3523a92ff5edfbbb1eed976b9f1721",
        ),
        "labels": SceneFile(
            path="SalinasA/SalinasA_gt.mat",
            key="salinasA_gt",
            sha256="17814c1d3296c0e29b27f320f2c4174d2a68adb87e376abe78f02923e2c2e454",
        ),
    },
    source=EHU_PAGE,
    credit="Purdue University / AVIRIS, Salinas Valley, California",
    sensor="AVIRIS",
    gsd_m=3.7,
    range_nm=(400.0, 2500.0),
    bands_removed="20 water absorption bands of 224: 108-112, 154-167, 224",
)
