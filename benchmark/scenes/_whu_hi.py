"""What the three WHU-Hi scenes have in common."""

from benchmark.scenes.base import SceneFile

SOURCE = "http://rsidea.whu.edu.cn/resource_WHUHi_sharing.htm"
SENSOR = "Headwall Nano-Hyperspec on a UAV"
RANGE_NM = (400.0, 1000.0)


def files(place: str) -> dict[str, SceneFile]:
    """Return cube and labels of a place as its makers share them: MATLAB files, or ENVI."""

    def array(suffix: str) -> SceneFile:
        mat, envi = f"WHU_Hi_{place}{suffix}", f"WHU-Hi-{place}{suffix}"
        return SceneFile(
            path=f"WHU-Hi-{place}/{mat}.mat", key=mat, also=(SceneFile(path=f"WHU-Hi-{place}/{envi}.hdr"),)
        )

    return {"cube": array(""), "labels": array("_gt")}


def credit(place: str, date: str) -> str:
    """Return who made the scene, and when."""
    return f"RSIDEA, Wuhan University, {place}, Hubei, China, {date} (doi 10.1016/j.rse.2020.112012)"
