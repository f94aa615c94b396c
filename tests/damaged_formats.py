"""Files of one format each that cannot be used: headers that lie, bombs, values that are no numbers."""

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
from tests.scene_writers import hdf5_file, write_envi, write_mat, write_mat73, write_npz, write_tiff

_HUGE = (1000, 1000, 1000)
# Refused for what its header claims, and refused because it holds more than its header claims.
_CLAIMED_BYTES, _BOMB_BYTES = 80 * 2**20, 240 * 2**20


def npy_header(shape: object, descr: str = "<f8", fortran: object = False) -> bytes:
    text = repr({"descr": descr, "fortran_order": fortran, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npy_cases(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
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


def npz_cases(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
    def archive(case: str, members: dict[str, bytes], **options: int) -> Path:
        with zipfile.ZipFile(folder / f"{case}.npz", "w", **options) as file:
            for name, content in members.items():
                file.writestr(name, content)
        return folder / f"{case}.npz"

    yield "claims 8 GB", archive("claims", {"x.npy": npy_header(_HUGE) + bytes(800)})
    packed = archive("bomb", {"x.npy": npy_header((20, 24, _CLAIMED_BYTES // 480), "|u1") + bytes(_CLAIMED_BYTES)},
                     compression=zipfile.ZIP_DEFLATED, compresslevel=1)  # fmt: skip
    yield "bomb", packed
    yield (
        "bomb behind a small header",
        archive("hidden", {"x.npy": npy_header((20, 24, 7), "|u1") + bytes(_BOMB_BYTES)}, compression=zipfile.ZIP_LZMA),
    )
    yield "no arrays", archive("none", {"readme.txt": b"nothing"})
    yield "nothing", archive("nothing", {})
    yield "1200 members", archive("many", {f"{i}.npy": npy_header((1, 1, 1)) for i in range(1200)})
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


def mat5_cases(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
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
        "packed: bomb that says so": _packed(
            _matrix((20, 24, _CLAIMED_BYTES // 480), _CLAIMED_BYTES, b""), _CLAIMED_BYTES
        ),
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


def mat73_cases(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
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
            "x", data=np.zeros((6, 24, _CLAIMED_BYTES // 144), "u1"), chunks=(1, 24, 2**15), compression="gzip"
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


def envi_cases(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
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


def tiff_cases(folder: Path, scene: Scene) -> Iterator[tuple[str, Path]]:
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
    (folder / "nothing.tif").write_bytes(b"II*\x00" + struct.pack("<I", 8) + bytes(8))
    yield "no directory", folder / "nothing.tif"
    tifffile.imwrite(folder / "four.tif", np.zeros((2, 3, 20, 24, 6), "u1"), photometric="minisblack")
    yield "five axes", folder / "four.tif"
    tifffile.imwrite(folder / "complex.tif", _complex_bands(scene), photometric="minisblack")
    yield "complex", folder / "complex.tif"
    for order in (b"II*\x00", b"MM\x00*", b"II+\x00\x08\x00\x00\x00"):
        (folder / f"{order.hex()}.tif").write_bytes(order + b"\xff" * 60)
        yield f"directory behind the end, {order[:2].decode()} {len(order)}", folder / f"{order.hex()}.tif"


def _complex_bands(scene: Scene) -> np.ndarray:
    return np.moveaxis(scene.cube, -1, 0).astype(np.complex64)
