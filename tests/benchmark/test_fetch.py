"""fetch against a local server that serves whole, cut, wrong, changed, slow and hostile files."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from benchmark.files import download
from benchmark.files.download import WrongContentError, extract_member
from benchmark.scene_fetch import fetch_card, fetch_scene
from benchmark.scenes.base import SceneCard, SceneFile
from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError, UnknownNameError
from tests.scene_factory import tiny_scene

pytest.importorskip("pooch")
pytest.importorskip("requests")

# What is kept of a broken download is whole chunks.
CHUNK = 2**14


class Site:
    """A web site whose answers a test sets, and what was asked of it and sent by it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.statuses: dict[str, int] = {}
        self.redirects: dict[str, str] = {}
        self.knows_ranges = True
        self.cuts_after: int | None = None
        self.starts_at: int | None = None
        self.pause_s = 0.0
        self.hangs_s = 0.0
        self.requests: list[str] = []
        self.ranges: list[str | None] = []
        self.n_sent = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                site.ranges.append(self.headers.get("Range"))
                if self.path in site.redirects:
                    self.send_response(302)
                    self.send_header("Location", site.redirects[self.path])
                    self.end_headers()
                    return
                body = site.files.get(self.path)
                if body is None or self.path in site.statuses:
                    self.send_error(site.statuses.get(self.path, 404))
                    return
                self.send(body, site.ranges[-1])

            def send(self, body: bytes, wanted: str | None) -> None:
                start = 0
                if wanted is not None and site.knows_ranges:
                    start = int(wanted.removeprefix("bytes=").partition("-")[0])
                    if site.starts_at is not None:
                        start = site.starts_at
                    if start >= len(body):
                        self.send_response(416)
                        self.send_header("Content-Range", f"bytes */{len(body)}")
                        self.end_headers()
                        return
                    self.send_response(206)
                    self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", str(len(body) - start))
                self.end_headers()
                end = len(body) if site.cuts_after is None else start + site.cuts_after
                for at in range(start, min(end, len(body)), 4096):
                    piece = body[at : min(at + 4096, end)]
                    # Counted before the client can know of it.
                    site.n_sent += len(piece)
                    self.wfile.write(piece)
                    self.wfile.flush()
                    time.sleep(site.pause_s)
                time.sleep(site.hangs_s)

            def log_message(self, *arguments: object) -> None:
                """Keep the test's output clean."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, *arguments: object) -> None:
                """A client that went away is what some tests want."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    site = Site()
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()
    thread.join()


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob " + str(len(content)).encode() + b"\0" + content).hexdigest()


@pytest.fixture
def card(site: Site) -> SceneCard:
    """The cube is known by its git blob id alone, the labels by their SHA-256."""
    scene = tiny_scene()
    for role, array in (("cube", scene.cube), ("labels", scene.labels + 1)):
        made = io.BytesIO()
        np.save(made, array)
        site.files[f"/{role}.npy"] = made.getvalue()
    files = {
        "cube": SceneFile(
            path="fields/cube.npy", git_blob=git_blob(site.files["/cube.npy"]), url=f"{site.address}/cube.npy"
        ),
        "labels": SceneFile(
            path="fields/labels.npy",
            sha256=hashlib.sha256(site.files["/labels.npy"]).hexdigest(),
            url=f"{site.address}/labels.npy",
        ),
    }
    return SceneCard(
        name="fields",
        title="Fields",
        shape=(40, 48, 12),
        class_names=scene.class_names,
        class_counts=tuple(scene.class_counts.tolist()),
        label_ids=(1, 2, 3, 4),
        files=files,
        source="http://example.org/fields",
        credit="nobody",
    )


def left_behind(root: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in root.rglob("*") if path.is_file()}


def refused(card: SceneCard, root: Path, pattern: str) -> str:
    with pytest.raises(SceneError, match=pattern) as caught:
        fetch_card(card, root)
    assert "\n" not in str(caught.value)
    assert str(root / "fields" / "cube.npy") in str(caught.value)
    assert not (root / "fields" / "cube.npy").exists()
    return str(caught.value)


def test_good_files_arrive_once_and_load(card: SceneCard, site: Site, tmp_path: Path) -> None:
    paths = fetch_card(card, tmp_path)
    assert paths == [tmp_path / "fields" / "cube.npy", tmp_path / "fields" / "labels.npy"]
    scene = card.load(tmp_path)
    assert np.array_equal(scene.cube, tiny_scene().cube)
    assert "KNOWN" not in scene.provenance
    assert fetch_card(card, tmp_path) == paths
    assert site.requests == ["/cube.npy", "/labels.npy"]
    assert left_behind(tmp_path) == {name[1:]: len(content) for name, content in site.files.items()}


@pytest.mark.parametrize("path", ["/cube.npy", "/labels.npy"])
def test_a_wrong_file_is_refused_and_removed(card: SceneCard, site: Site, tmp_path: Path, path: str) -> None:
    site.files[path] = b"<html>Please fill in our form</html>"
    with pytest.raises(SceneError, match=r"is not the file that the card names.*by hand from http://example\.org"):
        fetch_card(card, tmp_path)
    assert path[1:] not in left_behind(tmp_path)
    assert not [name for name in left_behind(tmp_path) if name.endswith(".part")]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_that_broke_off_goes_on(card: SceneCard, site: Site, tmp_path: Path, knows_ranges: bool) -> None:
    whole = len(site.files["/cube.npy"])
    site.cuts_after, site.knows_ranges = 3 * CHUNK, knows_ranges
    refused(card, tmp_path, r"failed \(\w+\): try again later, which goes on")
    assert left_behind(tmp_path) == {"cube.npy.part": 3 * CHUNK}
    site.cuts_after = None
    assert len(fetch_card(card, tmp_path)) == 2
    assert site.ranges[:2] == [None, f"bytes={3 * CHUNK}-"]
    repeated = 0 if knows_ranges else 3 * CHUNK
    assert site.n_sent == whole + repeated + len(site.files["/labels.npy"])
    assert np.array_equal(card.load(tmp_path).cube, tiny_scene().cube)
    assert set(left_behind(tmp_path)) == {"cube.npy", "labels.npy"}


def test_a_download_killed_again_and_again_is_sent_once(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.cuts_after = CHUNK
    for _ in range(3):
        refused(card, tmp_path, "failed")
    assert site.n_sent == 3 * CHUNK == left_behind(tmp_path)["cube.npy.part"]
    site.cuts_after = None
    fetch_card(card, tmp_path)
    assert site.n_sent == sum(map(len, site.files.values()))


def test_a_killed_process_goes_on(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.pause_s = 0.02
    part = tmp_path / "cube.npy.part"
    code = (
        "from pathlib import Path; from benchmark.files.download import ResumingDownloader; from tqdm import tqdm;"
        f"ResumingDownloader(Path({str(part)!r}), None, tqdm)({site.address + '/cube.npy'!r}, 'never')"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = part.stat().st_size
    assert 0 < kept < len(site.files["/cube.npy"])
    (tmp_path / "fields").mkdir()
    part.rename(tmp_path / "fields" / part.name)
    site.pause_s = 0.0
    fetch_card(card, tmp_path)
    assert f"bytes={kept}-" in site.ranges


def test_an_old_part_is_not_glued_to_a_changed_file(card: SceneCard, site: Site, tmp_path: Path) -> None:
    (tmp_path / "fields").mkdir()
    (tmp_path / "fields" / "cube.npy.part").write_bytes(b"of another file" * 1000)
    fetch_card(card, tmp_path)
    assert site.ranges[:2] == ["bytes=15000-", None]
    assert np.array_equal(card.load(tmp_path).cube, tiny_scene().cube)


@pytest.mark.parametrize("is_the_file", [True, False])
def test_a_part_as_long_as_the_file(card: SceneCard, site: Site, tmp_path: Path, is_the_file: bool) -> None:
    whole = site.files["/cube.npy"]
    (tmp_path / "fields").mkdir()
    (tmp_path / "fields" / "cube.npy.part").write_bytes(whole if is_the_file else whole[::-1])
    fetch_card(card, tmp_path)
    assert site.n_sent == len(site.files["/labels.npy"]) + (0 if is_the_file else len(whole))
    assert np.array_equal(card.load(tmp_path).cube, tiny_scene().cube)


def test_a_part_longer_than_the_file(card: SceneCard, site: Site, tmp_path: Path) -> None:
    (tmp_path / "fields").mkdir()
    (tmp_path / "fields" / "cube.npy.part").write_bytes(site.files["/cube.npy"] * 2)
    fetch_card(card, tmp_path)
    assert np.array_equal(card.load(tmp_path).cube, tiny_scene().cube)


def test_a_server_that_sends_another_range(card: SceneCard, site: Site, tmp_path: Path) -> None:
    (tmp_path / "fields").mkdir()
    (tmp_path / "fields" / "cube.npy.part").write_bytes(site.files["/cube.npy"][:100])
    site.starts_at = 200
    refused(card, tmp_path, "failed")
    assert left_behind(tmp_path) == {"cube.npy.part": 100}


@pytest.mark.parametrize("status", [404, 403, 500, 503])
def test_a_refusal_names_the_status(card: SceneCard, site: Site, tmp_path: Path, status: int) -> None:
    site.statuses["/cube.npy"] = status
    refused(card, tmp_path, rf"failed \(HTTPError {status}\): try again later")
    assert left_behind(tmp_path) == {}


def test_redirects_are_followed(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.files["/moved.npy"] = site.files.pop("/cube.npy")
    site.redirects = {"/cube.npy": "/there.npy", "/there.npy": f"{site.address}/moved.npy"}
    assert fetch_card(card, tmp_path)[0].read_bytes() == site.files["/moved.npy"]


def test_endless_redirects_end(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.redirects = {"/cube.npy": "/cube.npy"}
    refused(card, tmp_path, r"failed \(TooManyRedirects")


def test_a_slow_server_is_waited_for_and_a_silent_one_is_not(
    card: SceneCard, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.4)
    site.pause_s = 0.03
    fetch_card(card, tmp_path / "slow")
    site.cuts_after, site.pause_s = CHUNK + 1, 0.0
    site.hangs_s = 1.0
    # Cut off in the end, it would be a ChunkedEncodingError.
    refused(card, tmp_path / "silent", r"failed \(ConnectionError\)")
    assert left_behind(tmp_path / "silent") == {"cube.npy.part": CHUNK}


def test_a_dead_server_ends_in_one_line(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.server.server_close()
    refused(card, tmp_path, r"failed \(Connect\w+\)")


def test_an_unwritable_data_root(card: SceneCard, tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where the folder should be")
    with pytest.raises(SceneError, match=r"cannot write .*HSICL_DATA"):
        fetch_card(card, tmp_path / "root")


def test_progress_is_shown_on_stderr(
    card: SceneCard, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch_card(card, tmp_path / "a")
    assert capsys.readouterr().err == ""
    fetch_card(card, tmp_path / "b", progress=True)
    shown = capsys.readouterr()
    assert "cube.npy: 100%" in shown.err
    assert shown.out == ""


def test_what_has_no_known_identity_is_not_downloaded(card: SceneCard, site: Site, tmp_path: Path) -> None:
    anonymous = dataclasses.replace(card.files["cube"], git_blob=None)
    with pytest.raises(SceneNotFoundError) as caught:
        fetch_card(dataclasses.replace(card, files={**card.files, "cube": anonymous}), tmp_path)
    message = str(caught.value)
    assert "no identity is known for cube.npy: get cube.npy by hand from http://127.0.0.1" in message
    assert str(tmp_path / "fields" / "cube.npy") in message
    # What can be had is had.
    assert site.requests == ["/labels.npy"]
    assert set(left_behind(tmp_path)) == {"labels.npy"}


def test_scenes_that_nobody_serves_say_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(SceneNotFoundError, match=r"no address is known for SalinasA_corrected.mat: get .* by hand"):
        fetch_scene("salinas_a", tmp_path)
    with pytest.raises(SceneNotFoundError, match=r"WHU_Hi_LongKou_gt.mat by hand from http://rsidea"):
        fetch_scene("whu_hi_longkou", tmp_path)
    with pytest.raises(SceneNotFoundError, match=r"CASI.tif out of the archive by hand from https://machine\S+zip"):
        fetch_scene("houston_2013", tmp_path)
    with pytest.raises(UnknownNameError):
        fetch_scene("salinas_z", tmp_path)


def test_a_packaged_scene_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install tensorly"):
        fetch_scene("indian_pines", tmp_path)


def zipped(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def zip_card(card: SceneCard, site: Site) -> SceneCard:
    """The card with its cube as a member of an archive."""
    cube = dataclasses.replace(card.files["cube"], url=f"{site.address}/all.zip", member="cube.npy")
    return dataclasses.replace(card, files={**card.files, "cube": cube})


@pytest.mark.parametrize("folder", ["", "contest/", "../../", "/etc/", "a/../../"])
def test_one_member_is_taken_out_of_an_archive(zip_card: SceneCard, site: Site, tmp_path: Path, folder: str) -> None:
    content = site.files["/cube.npy"]
    site.files["/all.zip"] = zipped({
        f"{folder}cube.npy": content, "../escaped": b"x", "/absolute": b"x", "huge": bytes(10**7), "cube.npy/": b"",
    })  # fmt: skip
    site.cuts_after = CHUNK
    refused(zip_card, tmp_path / "in" / "root", "failed")
    site.cuts_after = None
    assert len(fetch_card(zip_card, tmp_path / "in" / "root")) == 2
    assert f"bytes={CHUNK}-" in site.ranges
    assert left_behind(tmp_path) == {"cube.npy": len(content), "labels.npy": len(site.files["/labels.npy"])}
    assert np.array_equal(zip_card.load(tmp_path / "in" / "root").cube, tiny_scene().cube)


def test_an_old_part_of_a_changed_archive_is_replaced(zip_card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.files["/all.zip"] = zipped({"cube.npy": site.files["/cube.npy"]})
    (tmp_path / "fields").mkdir()
    (tmp_path / "fields" / "cube.npy.part").write_bytes(zipped({"cube.npy": b"an older edition"}))
    fetch_card(zip_card, tmp_path)
    assert np.array_equal(zip_card.load(tmp_path).cube, tiny_scene().cube)
    assert set(left_behind(tmp_path)) == {"cube.npy", "labels.npy"}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"other.npy": b"x"}, "0 files 'cube.npy'"),
        ({"a/cube.npy": b"x", "b/cube.npy": b"y"}, "2 files 'cube.npy'"),
        ({"cube.npy": b"another"}, "neither the SHA-256 nor the git blob id"),
        ({"cube.npy": bytes(10**7)}, "claims 10000000 bytes"),
        (None, "cannot be read"),
    ],
)
def test_archives_that_are_refused(
    zip_card: SceneCard, site: Site, tmp_path: Path, members: dict[str, bytes] | None, reason: str
) -> None:
    site.files["/all.zip"] = b"no archive" if members is None else zipped(members)
    refused(zip_card, tmp_path, reason)
    assert left_behind(tmp_path) == {}


def test_damaged_encrypted_and_lying_archives(tmp_path: Path) -> None:
    good = zipped({"cube.npy": bytes(range(256)) * 100})
    at = good.index(b"PK\x01\x02")

    def patched(offset: int, value: int) -> bytes:
        return good[: at + offset] + value.to_bytes(2, "little") + good[at + offset + 2 :]

    broken = {
        "middle": good[:60] + bytes(20) + good[80:],
        "cut": good[: len(good) // 2],
        "encrypted": patched(8, 1),
        "unknown compression": patched(10, 99),
        # Its real size is 25600.
        "smaller claim": patched(24, 100),
    }
    for name, content in broken.items():
        archive = tmp_path / f"{name}.zip"
        archive.write_bytes(content)
        with pytest.raises(WrongContentError, match="cannot be read"):
            extract_member(archive, "cube.npy", tmp_path / "out", most_bytes=10**6)
        assert not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size <= 25600
