"""WHU-Hi-LongKou: nine crops and grounds seen from a UAV, nearly every pixel labelled."""

from benchmark.scenes import _whu_hi
from benchmark.scenes.base import SceneCard

SCENE = SceneCard(
    name="whu_hi_longkou",
    title="WHU-Hi-LongKou",
    shape=(550, 400, 270),
    class_names=(
        "Corn",
        "Cotton",
        "Sesame",
        "Broad-leaf soybean",
        "Narrow-leaf soybean",
        "Rice",
        "Water",
        "Roads and houses",
        "Mixed weed",
    ),
    class_counts=(34511, 8374, 3031, 63212, 4151, 11854, 67056, 7124, 5229),
    label_ids=tuple(range(1, 10)),
    files=_whu_hi.files("LongKou"),
    source=_whu_hi.SOURCE,
    credit=_whu_hi.credit("LongKou", "17 July 2018"),
    sensor=_whu_hi.SENSOR,
    gsd_m=0.463,
    range_nm=_whu_hi.RANGE_NM,
)
