"""fetch against a local server that serves good, truncated and wrong files."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from benchmark.scene_fetch import fetch_card, fetch_scene
from benchmark.scenes.base import SceneCard, SceneFile
from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError, UnknownNameError
from tests.scene_factory import tiny_scene

pytest.importorskip("pooch")
pytest.importorskip("requests")


class Site:
    """A web site whose answers a test sets, and what was asked of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.truncates = False
        self.requests: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.requests.append(self.path)
                body = site.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if site.truncates else body)

            def log_message(self, *arguments: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
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


@pytest.fixture
def card(site: Site, tmp_path: Path) -> SceneCard:
    scene = tiny_scene()
    files = {}
    for role, array in (("cube", scene.cube), ("labels", scene.labels + 1)):
        np.save(tmp_path / "made.npy", array)
        content = (tmp_path / "made.npy").read_bytes()
        site.files[f"/{role}.npy"] = content
        files[role] = SceneFile(
            path=f"fields/{role}.npy", sha256=hashlib.sha256(content).hexdigest(), url=f"{site.address}/{role}.npy"
        )
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


def left_behind(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_good_files_arrive_once_and_load(card: SceneCard, site: Site, tmp_path: Path) -> None:
    root = tmp_path / "root"
    paths = fetch_card(card, root)
    assert paths == [root / "fields" / "cube.npy", root / "fields" / "labels.npy"]
    assert np.array_equal(card.load(root).cube, tiny_scene().cube)
    assert fetch_card(card, root) == paths
    assert site.requests == ["/cube.npy", "/labels.npy"]


def test_a_wrong_file_is_refused_and_removed(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.files["/cube.npy"] = b"<html>Please fill in our form</html>"
    with pytest.raises(SceneError, match=r"has not the SHA-256.*by hand from http://example\.org/fields") as caught:
        fetch_card(card, tmp_path / "root")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "root" / "fields" / "cube.npy") in str(caught.value)
    assert left_behind(tmp_path / "root") == []


def test_a_truncated_file_is_refused_and_a_second_try_succeeds(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.truncates = True
    with pytest.raises(SceneError, match=r"download of .* failed|has not the SHA-256"):
        fetch_card(card, tmp_path / "root")
    assert left_behind(tmp_path / "root") == []
    site.truncates = False
    assert len(fetch_card(card, tmp_path / "root")) == 2


def test_a_missing_page_names_the_status(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.files.clear()
    with pytest.raises(SceneError, match=r"failed \(HTTPError 404\): try again later, or get it by hand"):
        fetch_card(card, tmp_path / "root")


def test_a_dead_server_ends_in_one_line(card: SceneCard, site: Site, tmp_path: Path) -> None:
    site.server.server_close()
    with pytest.raises(SceneError, match=r"failed \(Connect\w+\)") as caught:
        fetch_card(card, tmp_path / "root")
    assert "\n" not in str(caught.value)


def test_an_unwritable_data_root(card: SceneCard, tmp_path: Path) -> None:
    (tmp_path / "root").write_text("a file where the folder should be")
    with pytest.raises(SceneError, match=r"cannot write .*HSICL_DATA"):
        fetch_card(card, tmp_path / "root")


def test_scenes_that_nobody_serves_say_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(SceneNotFoundError, match=r"no address is known for SalinasA_corrected.mat: get it by hand"):
        fetch_scene("salinas_a", tmp_path)
    with pytest.raises(UnknownNameError):
        fetch_scene("salinas_z", tmp_path)


def test_a_packaged_scene_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match="pip install tensorly"):
        fetch_scene("indian_pines", tmp_path)
