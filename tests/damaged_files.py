"""Files that cannot be used, each for one reason: a fixed list, written into a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmark.scene import Scene
from tests.damaged_formats import envi_cases, mat5_cases, mat73_cases, npy_cases, npy_header, npz_cases, tiff_cases
from tests.scene_writers import CUBES, raw_labels, write_envi, write_mat, write_mat73, write_npy, write_npz, write_tiff

# Id, cube, labels, more arguments of `scenes import`.
Case = tuple[str, str, str, list[str]]
_SUFFIXES = (".mat", ".npy", ".npz", ".hdr", ".tif", ".tiff")


def damaged_files(folder: Path, scene: Scene) -> list[Case]:
    """Return all cases; their files lie in ``folder``."""
    good = folder / "good"
    good.mkdir()
    cube, labels = write_npy(scene, good)
    cases: list[Case] = []
    for part in (npy_cases, npz_cases, mat5_cases, mat73_cases, envi_cases, tiff_cases, _truncated, _noise, _no_files):
        sub = folder / part.__name__
        sub.mkdir()
        # A case names the cube; its labels are whatever fits.
        cases += [(f"{part.__name__}: {case}", str(source), labels, []) for case, source in part(sub, scene)]
    for part in (_label_values, _label_files):
        sub = folder / part.__name__
        sub.mkdir()
        cases += [(f"{part.__name__}: {case}", cube, str(source), more) for case, source, more in part(sub, scene)]
    cases += [(f"options: {case}", cube, labels, more) for case, more in _options(folder)]
    cases += [(f"cube: {case}", str(source), labels, more) for case, source, more in _cube_values(good, scene)]
    assert len({case for case, *_ in cases}) == len(cases)
    return cases


def _truncated(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    writers: dict[str, Callable[[Path], tuple[Path, str]]] = {
        "npy": lambda sub: (Path(write_npy(scene, sub)[0]), ""),
        "npz": lambda sub: (sub / "both.npz", write_npz(scene, sub)[0].partition(":")[2]),
        "mat 5": lambda sub: (Path(write_mat(scene, sub, compressed=False)[0]), "x"),
        "mat 7": lambda sub: (Path(write_mat(scene, sub)[0]), "x"),
        "mat 7.3": lambda sub: (Path(write_mat73(scene, sub)[0]), "x"),
        "mat 7.3 chunks": lambda sub: (
            Path(write_mat73(scene, sub, chunks=(2, 7, 5), compression="gzip")[0]), "x"
        ),
        "envi data": lambda sub: (Path(write_envi(scene, sub)[0]).with_suffix(".img"), ""),
        "tiff": lambda sub: (Path(write_tiff(scene, sub)[0]), ""),
        "tiff deflate": lambda sub: (Path(write_tiff(scene, sub, compression="deflate", tile=(16, 16))[0]), ""),
        "bigtiff": lambda sub: (Path(write_tiff(scene, sub, bigtiff=True)[0]), ""),
    }  # fmt: skip
    for name, write in writers.items():
        for tenths in range(0, 100, 9):
            sub = folder / f"{name} {tenths}"
            sub.mkdir()
            path, key = write(sub)
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) * tenths // 100])
            yield f"{name} after {tenths}%", Path(f"{path}:{key}" if key else path)
        sub = folder / f"{name} by a byte"
        sub.mkdir()
        path, key = write(sub)
        if name not in {"mat 7.3 chunks"}:
            path.write_bytes(path.read_bytes()[:-1])
            yield f"{name} by a byte", Path(f"{path}:{key}" if key else path)


def _noise(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    starts = {
        ".mat": (
            b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM",
            b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n",
        ),
        ".npy": (b"\x93NUMPY\x01\x00\x76\x00", b"\x93NUMPY\x02\x00"),
        ".npz": (b"PK\x03\x04", b"PK\x05\x06"),
        ".hdr": (b"ENVI\n", b"ENVI\nlines = 20\nsamples = 24\nbands = 6\n"),
        ".tif": (b"II*\x00\x08\x00\x00\x00", b"MM\x00+\x00\x08\x00\x00"),
        ".tiff": (b"II+\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00",),
    }
    for suffix in _SUFFIXES:
        for seed, start in enumerate((b"", b"", *starts[suffix], starts[suffix][0])):
            noise = np.random.default_rng([seed, len(suffix)]).bytes(4000)
            path = folder / f"{seed}{suffix}"
            path.write_bytes(start + noise)
            yield f"{suffix} {seed}", path
        for name, content in {"empty": b"", "zeros": bytes(2000), "text": b"this is no array\n" * 40}.items():
            (folder / f"{name}{suffix}").write_bytes(content)
            yield f"{name} as {suffix}", folder / f"{name}{suffix}"
    cube = Path(CUBES["npy"](scene.cube, folder)[0]).read_bytes()
    for suffix in _SUFFIXES:
        if suffix != ".npy":
            (folder / f"renamed{suffix}").write_bytes(cube)
            yield f"npy as {suffix}", folder / f"renamed{suffix}"


def _no_files(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    yield "missing", folder / "missing.npy"
    yield "missing with key", folder / "missing.mat:x"
    yield "missing folder", folder / "no" / "cube.tif"
    yield "a very long name", folder / ("x" * 5000 + ".npy")
    yield "a very long path", folder.joinpath(*["x" * 200] * 40, "cube.npy")
    yield "a zero in the name", folder / "cu\0be.npy"
    yield "no suffix", folder / "cube"
    (folder / "cube.xyz").write_bytes(b"1")
    yield "unknown format", folder / "cube.xyz"
    for suffix in _SUFFIXES:
        (folder / f"folder{suffix}").mkdir()
        yield f"a folder called {suffix}", folder / f"folder{suffix}"
        os.mkfifo(folder / f"pipe{suffix}")
        yield f"a pipe called {suffix}", folder / f"pipe{suffix}"
        (folder / f"loop{suffix}").symlink_to(f"loop{suffix}")
        yield f"a link to itself called {suffix}", folder / f"loop{suffix}"
        (folder / f"device{suffix}").symlink_to("/dev/zero")
        yield f"a device called {suffix}", folder / f"device{suffix}"
    yield "the folder itself", folder


def _cube_values(folder: Path, scene: Scene) -> Iterator[tuple[str, Path, list[str]]]:
    cube = scene.cube
    values = {
        "complex": cube.astype(complex),
        "text": np.full(cube.shape, "a"),
        "truth values": cube > 5,
        "dates": np.zeros(cube.shape, "M8[s]"),
        "records": np.zeros(cube.shape, [("a", "f4")]),
        "one axis": cube.ravel(),
        "two axes": cube[:, :, 0],
        "four axes": cube[None],
        "no axis": np.float64(3),
        "no bands": cube[:, :, :0],
        "no rows": cube[:0],
        "NaN": np.where(cube > 6, np.nan, cube),
        "infinity": np.where(cube > 6, np.inf, cube),
        "beyond float32": np.where(cube > 6, 1e300, cube.astype(float)),
        "transposed": cube.transpose(1, 0, 2),
        "another size": cube[:-1],
        "constant": np.full(cube.shape, 7),
        "as many bands as rows and columns": np.zeros((24, 24, 24)),
    }
    for case, value in values.items():
        np.save(folder / f"value {case}.npy", value)
        yield case, folder / f"value {case}.npy", []
    np.save(folder / "flat.npy", cube.ravel())
    yield "flat with another shape", folder / "flat.npy", ["--shape", "20,24,7"]
    yield "flat with a huge shape", folder / "flat.npy", ["--shape", "999999999,999999999,999999999"]
    yield "a cube and another shape", folder / "cube.npy", ["--shape", "24,20,6"]


def _label_values(folder: Path, scene: Scene) -> Iterator[tuple[str, Path, list[str]]]:
    raw = raw_labels(scene)
    hot = (scene.labels[..., None] == np.arange(4)).astype(np.uint8)
    parts = np.full((20, 24, 4), 0.25)
    values: dict[str, tuple[np.ndarray, list[str]]] = {
        "one class": (np.minimum(raw, 1), []),
        "no class": (raw * 0, []),
        "all NaN": (np.full(raw.shape, np.nan), []),
        "all unlabelled by request": (raw * 0 + 5, ["--unlabelled", "5"]),
        "fractions": (raw + 0.5, []),
        "infinite": (np.where(raw == 1, np.inf, raw), []),
        "a measurement": (np.arange(480.0).reshape(20, 24) * 1e6 + 0.25, []),
        "too many ids": (np.arange(480).reshape(20, 24) * 10**9, ["--class-names", "a,b"]),
        "another size": (raw[:-1], []),
        "transposed": (raw.T, []),
        "too short": (raw.ravel()[:-1], []),
        "complex": (raw.astype(complex), []),
        "text": (raw.astype(str), []),
        "empty": (raw[:0], []),
        "four axes": (hot[None], []),
        "a number": (np.array(3), []),
        "two ones in a pixel": (np.maximum(hot, np.roll(hot, 1, axis=2)), []),
        "values that are no fractions": (parts * 9, []),
        "sums far from 1": (parts / 2, []),
        "an infinite abundance": (np.where(hot, np.inf, parts), ["--labels-are", "abundances"]),
        "one abundance everywhere the largest": (parts, []),
        "abundances of nothing": (parts * 0, ["--labels-are", "abundances"]),
        "as one-hot": (parts, ["--labels-are", "one_hot"]),
        "a map as one-hot": (raw, ["--labels-are", "one_hot"]),
        "one-hot as a map": (hot, ["--labels-are", "map"]),
        "one-hot with an unlabelled id": (hot, ["--unlabelled", "0"]),
        "an empty mask": (raw * 0, ["--labels-are", "mask"]),
        "a full mask": (raw * 0 + 1, ["--labels-are", "mask"]),
        "truth values, all false": (raw > 99, []),
    }  # fmt: skip
    for case, (value, more) in values.items():
        np.save(folder / f"{case}.npy", value)
        yield case, folder / f"{case}.npy", more
    np.save(folder / "good.npy", raw)
    yield "too few names", folder / "good.npy", ["--class-names", "a,b,c"]
    yield "a name twice", folder / "good.npy", ["--class-names", "a,b,c,a"]
    yield "an empty name", folder / "good.npy", ["--class-names", "a,,c,d"]
    yield "no file of names", folder / "good.npy", ["--class-names", str(folder / "names.txt")]
    yield "binary names", folder / "good.npy", ["--class-names", str(folder / "good.npy")]
    os.mkfifo(folder / "pipe.txt")
    yield "names from a pipe", folder / "good.npy", ["--class-names", str(folder / "pipe.txt")]


def _label_files(folder: Path, scene: Scene) -> Iterator[tuple[str, Path, list[str]]]:
    for case, path in _noise(folder, scene):
        if path.suffix in {".mat", ".tif", ".hdr"} and " 0" in case:
            yield f"noise, {case}", path, []
    (folder / "lie.npy").write_bytes(npy_header((10**5, 10**5)) + bytes(80))
    yield "a map that claims 80 GB", folder / "lie.npy", []
    yield "missing", folder / "none.mat", []
    np.savez(folder / "two.npz", a=raw_labels(scene), b=raw_labels(scene))
    yield "two maps", folder / "two.npz", []
    yield "wrong key", Path(f"{folder / 'two.npz'}:c"), []


def _options(folder: Path) -> Iterator[tuple[str, list[str]]]:
    (folder / "a file").write_text("")
    yield "no such order", ["--order", "K"]
    yield "two sides", ["--shape", "20,24"]
    yield "a side of zero", ["--shape", "0,24,6"]
    yield "a negative side", ["--shape=-20,24,6"]
    yield "sides in words", ["--shape", "a,b,c"]
    yield "a side of 5000 digits", ["--shape", f"{'9' * 5000},24,6"]
    yield "no such form", ["--labels-are", "maps"]
    yield "no integer", ["--unlabelled", "x"]
    yield "a quick look in a missing folder", ["--quick-look", str(folder / "no" / "look.png")]
    yield "a quick look of no format", ["--quick-look", str(folder / "look.xyz")]
    yield "a quick look onto a folder", ["--quick-look", str(folder / "good")]
    yield "an unknown option", ["--shapes", "1,2,3"]
