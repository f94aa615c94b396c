"""Files that cannot be used, each for one reason: a fixed list, written into a folder."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import scipy.io
import scipy.sparse
import tifffile

from benchmark.scene import Scene
from tests.scene_writers import (
    CUBES,
    hdf5_file,
    raw_labels,
    write_envi,
    write_mat,
    write_mat73,
    write_npy,
    write_npz,
    write_tiff,
)

# Id, cube, labels, more arguments of `scenes import`.
Case = tuple[str, str, str, list[str]]
_HUGE = (1000, 1000, 1000)
_BOMB_BYTES = 300 * 2**20
_SUFFIXES = (".mat", ".npy", ".npz", ".hdr", ".tif", ".tiff")


def damaged_files(folder: Path, scene: Scene) -> list[Case]:
    """Return all cases; their files lie in ``folder``."""
    good = folder / "good"
    good.mkdir()
    cube, labels = write_npy(scene, good)
    cases: list[Case] = []
    for part in (_truncated, _npy, _npz, _mat5, _mat73, _envi, _tiff, _noise, _no_files):
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


def npy_header(shape: object, descr: str = "<f8", fortran: object = False) -> bytes:
    text = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _npy(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    rest = bytes(800)
    contents = {
        "claims 8 GB": npy_header(_HUGE) + rest,
        "claims 2^120": npy_header((2**40,) * 3) + rest,
        "negative sides": npy_header((-10, -10, 1)) + rest,
        "one negative side": npy_header((-1, 10, 10)) + rest,
        "sides are text": npy_header(("a", 2, 3)) + rest,
        "fractional sides": npy_header((1.5, 2, 3)) + rest,
        "no shape": npy_header(None) + rest,
        "order is text": npy_header((5, 5, 4), fortran="yes") + rest,
        "objects": npy_header((5, 5, 4), "|O") + rest,
        "records of 1 GB": npy_header((1, 1, 1), "|V1000000000") + rest,
        "text": npy_header((5, 5, 4), "<U1") + rest,
        "dates": npy_header((5, 5, 4), "<M8[s]") + rest,
        "no such type": npy_header((5, 5, 4), "<f7") + rest,
        "a header of code": b"\x93NUMPY\x01\x00"
        + struct.pack("<H", 40)
        + b"__import__('os').system('touch x')".ljust(40),
        "a header of 60 kB": b"\x93NUMPY\x01\x00" + struct.pack("<H", 60000) + b" " * 60000,
        "a header of 4 GB": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + rest,
        "version 9": b"\x93NUMPY\x09\x00" + rest,
    }
    for case, content in contents.items():
        (folder / f"{case}.npy").write_bytes(content)
        yield case, folder / f"{case}.npy"
    np.save(folder / "pickled.npy", np.array([{}, None], dtype=object), allow_pickle=True)
    yield "pickled", folder / "pickled.npy"


def _npz(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    def archive(case: str, members: dict[str, bytes], **options: int) -> Path:
        with zipfile.ZipFile(folder / f"{case}.npz", "w", **options) as file:
            for name, content in members.items():
                file.writestr(name, content)
        return folder / f"{case}.npz"

    yield "claims 8 GB", archive("claims", {"x.npy": npy_header(_HUGE) + bytes(800)})
    packed = archive("bomb", {"x.npy": npy_header((20, 24, _BOMB_BYTES // 480), "|u1") + bytes(_BOMB_BYTES)},
                     compression=zipfile.ZIP_DEFLATED, compresslevel=1)  # fmt: skip
    yield "bomb", packed
    yield (
        "bomb behind a small header",
        archive("hidden", {"x.npy": npy_header((20, 24, 7), "|u1") + bytes(_BOMB_BYTES)}, compression=zipfile.ZIP_LZMA),
    )
    yield "no arrays", archive("none", {"readme.txt": b"nothing"})
    yield "nothing", archive("nothing", {})
    yield "5000 members", archive("many", {f"{i}.npy": npy_header((1, 1, 1)) for i in range(5000)})
    yield "damaged member", archive("damaged", {"x.npy": b"\x93NUMPY"})
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], dtype=object), allow_pickle=True)
    yield "pickled member", Path(f"{archive('pickled', {'x.npy': buffer.getvalue()})}:x")
    path = Path(write_npz(scene, folder)[0].partition(":")[0])
    yield "wrong key", Path(f"{path}:nothing")
    yield "two that fit", path
    content = bytearray(path.read_bytes())
    # In the middle of the packed cube.
    content[2000:2010] = bytes(10)
    (folder / "flipped.npz").write_bytes(content)
    yield "changed bytes", Path(f"{folder / 'flipped.npz'}:image")
    encrypted = bytearray(path.read_bytes())
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    (folder / "encrypted.npz").write_bytes(encrypted)
    yield "encrypted", Path(f"{folder / 'encrypted.npz'}:image")


def _matrix(shape: tuple[int, ...], n_bytes: int, values: bytes, matrix_class: int = 9) -> bytes:
    """Return an uncompressed v5 variable x whose parts may contradict each other."""
    sides = struct.pack(f"<{len(shape)}i", *shape)
    parts = struct.pack("<IIII", 6, 8, matrix_class, 0)
    parts += struct.pack("<II", 5, len(sides)) + sides + bytes(-len(sides) % 8)
    parts += struct.pack("<HH4s", 1, 1, b"x") + struct.pack("<II", 2, n_bytes) + values
    return struct.pack("<II", 14, len(parts)) + parts


def _mat_file(path: Path, element: bytes) -> Path:
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM" + element)
    return path


def _packed(start: bytes, n_zeros: int) -> bytes:
    squeeze = zlib.compressobj(1)
    parts = [
        squeeze.compress(start),
        *(squeeze.compress(bytes(2**20)) for _ in range(n_zeros // 2**20)),
        squeeze.flush(),
    ]
    content = b"".join(parts)
    return struct.pack("<II", 15, len(content)) + content


def _mat5(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    elements = {
        "claims 10^9": _matrix(_HUGE, 480, bytes(480)),
        "claims 2^93": _matrix((2**31 - 1,) * 3, 480, bytes(480)),
        "negative side": _matrix((-20, 24, 6), 2880, bytes(2880)),
        "more values than room": _matrix((20, 24, 6), 480, bytes(480)),
        "announces 2 GB": _matrix((20, 24, 6), 2**31 - 1, bytes(480)),
        "one axis": _matrix((480,), 480, bytes(480)),
        "no such class": _matrix((20, 24, 6), 2880, bytes(2880), matrix_class=99),
        "an unknown element": struct.pack("<II", 99, 80) + bytes(80),
        "an element longer than the file": struct.pack("<II", 14, 2**31) + bytes(80),
        "packed: not zlib": struct.pack("<II", 15, 80) + bytes(80),
        "packed: claims 10^9": _packed(_matrix(_HUGE, 10**9, b""), 2**20),
        "packed: bomb that says so": _packed(_matrix((20, 24, _BOMB_BYTES // 480), _BOMB_BYTES, b""), _BOMB_BYTES),
        "packed: bomb behind small sides": _packed(_matrix((20, 24, 6), _BOMB_BYTES, b""), _BOMB_BYTES),
        "packed: empty": _packed(b"", 0),
    }
    for case, element in elements.items():
        yield case, _mat_file(folder / f"{case.replace(':', '')}.mat", element)
    values = {
        "complex": scene.cube + 1j,
        "structure": {"a": scene.cube},
        "cell": np.array([scene.cube, 1], dtype=object),
        "text": "twenty rows",
        "empty": np.zeros((0, 0)),
        "a number": 5.0,
    }
    for name, value in values.items():
        scipy.io.savemat(folder / f"{name}.mat", {"x": value})
        yield name, Path(f"{folder / f'{name}.mat'}:x")
    scipy.io.savemat(folder / "sparse.mat", {"x": scipy.sparse.eye(480).tocsc()})
    yield "sparse", Path(f"{folder / 'sparse.mat'}:x")
    scipy.io.savemat(folder / "none.mat", {})
    yield "no variable", folder / "none.mat"
    path = Path(write_mat(scene, folder, compressed=False)[0])
    yield "wrong key", Path(f"{path}:X")
    path.write_bytes(path.read_bytes().replace(b"\x00\x01IM", b"\x00\x01MI"))
    yield "wrong byte order", Path(f"{path}:x")
    (folder / "v4.mat").write_bytes(struct.pack("<5i", 0, 10**9, 10**9, 0, 2) + b"x\x00" + bytes(80))
    yield "v4 that claims 10^18", folder / "v4.mat"
    (folder / "v4 name.mat").write_bytes(struct.pack("<5i", 0, 2, 2, 0, 2**31 - 1) + bytes(80))
    yield "v4 with a name of 2 GB", folder / "v4 name.mat"


def _mat73(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    def file(case: str, fill: Callable[[h5py.File], object]) -> Path:
        path = folder / f"{case}.mat"
        hdf5_file(path, {})
        with h5py.File(path, "r+") as opened:
            fill(opened)
        return Path(f"{path}:x")

    pair = np.dtype([("real", "f8"), ("imag", "f8")])
    fills: dict[str, Callable[[h5py.File], object]] = {
        "never written": lambda f: f.create_dataset("x", _HUGE, "f8"),
        "never written chunks": lambda f: f.create_dataset("x", _HUGE, "f8", chunks=(100, 100, 100)),
        "never written, packed": lambda f: f.create_dataset("x", _HUGE, "f8", chunks=(9, 9, 9), compression="gzip"),
        "one chunk of 4 GB": lambda f: f.create_dataset(
            "x", (6, 24, 20), "f8", maxshape=(None,) * 3, chunks=(800, 800, 800)
        ),
        "bomb": lambda f: f.create_dataset(
            "x", data=np.zeros((6, 24, _BOMB_BYTES // 144), "u1"), chunks=(1, 24, 2**15), compression="gzip"
        ),
        "complex": lambda f: f.create_dataset("x", (6, 24, 20), pair),
        "text": lambda f: f.create_dataset("x", data=np.array([b"abc"])),
        "text as numbers": lambda f: f.create_dataset("x", data=np.zeros((6, 24, 20), "u2")).attrs.create(
            "MATLAB_class", np.bytes_("char")
        ),
        "an empty array": lambda f: f.create_dataset("x", data=np.array([3, 3, 3], "u8")).attrs.create(
            "MATLAB_empty", np.uint8(1)
        ),
        "references": lambda f: f.create_dataset("x", (6, 24, 20), h5py.ref_dtype),
        "no values": lambda f: f.create_dataset("x", dtype="f8", shape=None),
        "a number": lambda f: f.create_dataset("x", data=5.0),
        "a structure": lambda f: f.create_group("x"),
        "a link to nowhere": lambda f: f.__setitem__("x", h5py.SoftLink("/nowhere")),
        "a link to itself": lambda f: f.__setitem__("x", h5py.SoftLink("/x")),
        "a link out of the file": lambda f: f.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/x")),
        "values in another file": lambda f: f.create_dataset("x", (6, 24, 20), "u1", external=[("/dev/zero", 0, 2880)]),
        "nothing": lambda f: None,
    }
    for case, fill in fills.items():
        yield case, file(case, fill)
    path = Path(write_mat73(scene, folder, chunks=(2, 7, 5), compression="gzip")[0])
    content = bytearray(path.read_bytes())
    for place in range(4096, len(content), 97):
        content[place] ^= 255
    path.write_bytes(content)
    yield "changed bytes", Path(f"{path}:x")
    (folder / "only the name.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(512))
    yield "only the name", folder / "only the name.mat"


def _envi(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    header, _ = write_envi(scene, folder)
    text = Path(header).read_text()
    data = Path(header).with_suffix(".img").read_bytes()
    changes = {
        "claims 10^9": ("samples = 24", "samples = 2000000"),
        "claims 10^27": ("lines = 20", "lines = 1000000000000000000000000"),
        "negative side": ("lines = 20", "lines = -20"),
        "no lines": ("lines = 20", ""),
        "fractional": ("lines = 20", "lines = 20.5"),
        "words": ("bands = 6", "bands = six"),
        "another type": ("data type = 4", "data type = 1"),
        "complex": ("data type = 4", "data type = 6"),
        "no such type": ("data type = 4", "data type = 77"),
        "no such interleave": ("interleave = bil", "interleave = bis"),
        "header offset behind the end": ("header offset = 0", "header offset = 999999999999"),
        "negative header offset": ("header offset = 0", "header offset = -8"),
        "no such byte order": ("byte order = 0", "byte order = 7"),
        "too few wavelengths": ("0.4 , ", ""),
        "wavelengths are words": ("0.4 , ", "red , "),
        "an open brace": ("}", " "),
        "not ENVI": ("ENVI", "HDR"),
        "another size": ("lines = 20", "lines = 10"),
        "frame offsets": ("byte order = 0", "byte order = 0\nmajor frame offsets = {1,2}"),
    }
    for case, (old, new) in changes.items():
        assert old in text, case
        (folder / f"{case}.hdr").write_text(text.replace(old, new))
        (folder / f"{case}.img").write_bytes(data)
        yield case, folder / f"{case}.hdr"
    (folder / "alone.hdr").write_text(text)
    yield "no data file", folder / "alone.hdr"
    (folder / "alone.img").mkdir()
    (folder / "data folder.hdr").write_text(text)
    (folder / "data folder.img").mkdir()
    yield "data is a folder", folder / "data folder.hdr"
    (folder / "fifo data.hdr").write_text(text)
    os.mkfifo(folder / "fifo data.img")
    yield "data is a pipe", folder / "fifo data.hdr"
    (folder / "bytes.hdr").write_bytes(b"ENVI\n\xff\xfe\x00lines = \xb5\n")
    yield "no text", folder / "bytes.hdr"
    (folder / "no header.img").write_bytes(data)
    yield "data without header", folder / "no header.img"


def _tiff(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    path = Path(write_tiff(scene, folder, metadata=None)[0])

    def changed(case: str, source: Path, **tags: int) -> Path:
        content = bytearray(source.read_bytes())
        with tifffile.TiffFile(source) as file:
            for name, value in tags.items():
                tag = file.pages[0].tags[name]
                kind = {3: "<H", 4: "<I", 16: "<Q"}[int(tag.dtype)]
                # Room for the larger kind is there; a count of one is kept in the entry itself.
                place = tag.valueoffset
                if kind == "<H":
                    struct.pack_into("<H", content, tag.offset + 2, 4)
                    kind = "<I"
                struct.pack_into(kind, content, place, value)
        (folder / f"{case}.tif").write_bytes(content)
        return folder / f"{case}.tif"

    yield "claims 10^9", changed("wide", path, ImageWidth=10**9)
    yield "claims 10^18", changed("vast", path, ImageWidth=10**9, ImageLength=10**9)
    yield "no width", changed("none", path, ImageWidth=0)
    yield "a million bands", changed("bands", path, SamplesPerPixel=10**6)
    yield "no such compression", changed("compressed", path, Compression=60000)
    yield "values of 3 bits", changed("bits", path, SampleFormat=9)
    strip = folder / "strip.tif"
    image = np.ascontiguousarray(scene.cube[:, :, 0])
    tifffile.imwrite(strip, image, compression="deflate", metadata=None)
    yield "one band", strip
    # A strip of a few kB that unpacks to hundreds of MB.
    bomb = changed("bomb", strip, StripOffsets=strip.stat().st_size, StripByteCounts=_BOMB_BYTES // 1000)
    with bomb.open("ab") as file:
        file.write(zlib.compress(bytes(_BOMB_BYTES), 1))
    yield "bomb", bomb
    yield "data behind the end", changed("behind", strip, StripOffsets=2**31)
    sparse = folder / "sparse.tif"
    tifffile.imwrite(
        sparse, np.zeros((2, 16, 16), "u1"), tile=(16, 16), compression="deflate", metadata=None,
        photometric="minisblack", planarconfig="separate",
    )  # fmt: skip
    yield "claims 10^9, packed", changed("packed", sparse, ImageWidth=32000, ImageLength=32000)
    yield "tiles of 4 GB", changed("tiles", sparse, TileWidth=2**16, TileLength=2**16)
    loop = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", loop, 4)[0]
    count = struct.unpack_from("<H", loop, first)[0]
    struct.pack_into("<I", loop, first + 2 + 12 * count, first)
    (folder / "loop.tif").write_bytes(b"".join([loop[:4], struct.pack("<I", 8), bytes(8)]))
    yield "no directory", folder / "loop.tif"
    tifffile.imwrite(folder / "four.tif", np.zeros((2, 3, 20, 24, 6), "u1"), photometric="minisblack")
    yield "five axes", folder / "four.tif"
    tifffile.imwrite(folder / "complex.tif", bands_first_complex(scene), photometric="minisblack")
    yield "complex", folder / "complex.tif"
    for order in (b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00\x00\x00"):
        (folder / f"{order.hex()}.tif").write_bytes(order + b"\xff" * 60)
        yield f"directory behind the end, {order[:2].decode()} {len(order)}", folder / f"{order.hex()}.tif"


def bands_first_complex(scene: Scene) -> np.ndarray:
    return np.moveaxis(scene.cube, -1, 0).astype(np.complex64)


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
