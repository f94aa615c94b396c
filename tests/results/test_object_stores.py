"""Stores in buckets, through pyarrow's own clients, against servers on loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import io
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from results import ResultStore, RunRecord, StoreError, open_store
from results.addresses import remedy, shown
from results.compact import compact, release
from results.export import export
from results.merge import merge
from results.store_files import COMPACTED, StoreFiles
from results.verify import verify
from sweeps import launch
from sweeps.executors.loop import LoopExecutor
from tests.record_factory import make_record
from tests.results.object_servers import Server, start
from tests.sweeps.sweep_factory import learning_sweep, tiny_scenes

KINDS = ("s3", "gs")


@pytest.fixture(scope="module", autouse=True)
def _credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ACCESS_KEY_ID", "test")
        patched.setenv("AWS_SECRET_ACCESS_KEY", "test")
        # Without it a client that finds no credentials asks a machine's service for them, for seconds.
        patched.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patched.setenv("AWS_MAX_ATTEMPTS", "1")
        yield


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    started = start(request.param)
    yield started
    started.stop()


@pytest.fixture
def uri(server: Server, request: pytest.FixtureRequest) -> str:
    return server.uri(f"bucket/{abs(hash(request.node.name)):x}/runs")


def names_in(store: ResultStore) -> list[str]:
    return store.files.names()


def test_a_store_in_a_bucket(uri: str) -> None:
    store = open_store(uri)
    assert not store.exists()
    assert store.finished_ids() == set()
    with pytest.raises(StoreError, match="does not exist: run a sweep into it first"):
        store.read()
    store.check_writable()
    assert store.finished_ids() == set()
    record = make_record()
    store.write(dataclasses.replace(record, n_train=1, status="failed"))
    assert store.finished_ids() == set()
    store.write(record)
    assert names_in(store) == [f"{record.trial_id}.parquet"]
    assert [RunRecord.from_row(row) for row in open_store(uri).read().to_pylist()] == [record]
    assert store.finished_ids() == {record.trial_id}
    assert store.exists()


def test_files_that_another_tool_has_copied_there(server: Server, tmp_path: Path) -> None:
    # An object store knows no folders; pyarrow leaves a mark for one in S3, other tools do not.
    if server.kind != "s3":
        pytest.skip("there are no such marks")
    local = open_store(tmp_path)
    record = make_record()
    local.write(record)
    name = f"{record.trial_id}.parquet"
    assert server.request("PUT", f"/bucket/copied/deep/{name}", (tmp_path / name).read_bytes()) == 200
    store = open_store(server.uri("bucket/copied/deep"))
    assert store.exists()
    assert store.finished_ids() == {record.trial_id}
    assert store.read().equals(local.read())


def test_many_files_are_read_at_once(uri: str) -> None:
    store = open_store(uri)
    records = [make_record(seed=seed) for seed in range(25)]
    for record in records:
        store.write(record)
    assert store.read().column("trial_id").to_pylist() == sorted(record.trial_id for record in records)


def test_a_sweep_into_a_bucket_and_again(uri: str, tmp_path: Path) -> None:
    scenes, sweep = tiny_scenes(), dataclasses.replace(learning_sweep(), n_splits=1)
    store, local = open_store(uri), open_store(tmp_path / "local")
    first = launch(sweep, store, scenes, LoopExecutor())
    again = launch(sweep, open_store(uri), scenes, LoopExecutor())
    assert (first.n_ok, first.n_skipped, again.n_ok, again.n_skipped) == (6, 0, 0, 6)
    launch(sweep, local, scenes, LoopExecutor())
    # The same numbers as on a local disk: the merge finds nothing to report.
    merged = merge(local, [store])
    assert (merged.n_there, merged.conflicts) == (6, [])
    assert verify(store).n_wrong == 0


def test_merge_compact_verify_and_export_across(uri: str, tmp_path: Path) -> None:
    store = open_store(uri)
    for seed in range(3):
        store.write(make_record(seed=seed, n_val=200))
    local = open_store(tmp_path / "local")
    assert merge(local, [store]).n_new == 3
    assert local.read().equals(store.read())
    with pytest.raises(StoreError, match="is TARGET and SOURCE"):
        merge(store, [open_store(uri)])
    rows = store.read()
    assert compact(store).n_deleted == 3
    assert names_in(store) == [COMPACTED]
    assert store.read().equals(rows)
    assert verify(store).findings == []
    assert release(store, open_store(tmp_path / "released")).n_rows == 3
    assert merge(store, [local]).n_there == 3
    assert export(store, tmp_path / "table.csv").n_rows == 3


def test_a_row_replaced_while_a_bucket_is_compacted_is_kept(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store, records = open_store(uri), [make_record(seed=seed) for seed in range(2)]
    for record in records:
        store.write(record)
    compacted = ResultStore.write_compacted

    def meanwhile(self: ResultStore, table: object) -> None:
        compacted(self, table)
        store.write(dataclasses.replace(records[1], n_train=99))

    monkeypatch.setattr(ResultStore, "write_compacted", meanwhile)
    done = compact(store)
    assert (done.n_deleted, done.n_replaced) == (1, 1)
    assert {row["seed"]: row["n_train"] for row in store.read().to_pylist()} == {0: 20, 1: 99}


def test_a_bucket_that_is_not_there(server: Server) -> None:
    store = open_store(server.uri("nosuchbucket/runs"))
    for use in (store.check_writable, lambda: store.write(make_record())):
        with pytest.raises(StoreError, match="make the bucket first, or correct the address") as caught:
            use()
        assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="does not exist"):
        store.read()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_dies_in_mid_run(kind: str) -> None:
    server = start(kind)
    try:
        store = open_store(server.uri("bucket/runs"))
        store.files = dataclasses.replace(store.files, patience_s=0.0)
        progress = io.StringIO()
        write, written = store.write, []

        def dying(record: RunRecord) -> None:
            written.append(write(record))
            if len(written) == 3:
                server.stop()

        store.write = dying  # type: ignore[method-assign]
        with pytest.raises(StoreError, match="check the network and the address") as caught:
            launch(learning_sweep(), store, tiny_scenes(), LoopExecutor(), stream=progress)
    finally:
        server.stop()
    assert len(written) == 3
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="check the network and the address"):
        store.finished_ids()


class _Away:
    """A file system whose bucket answers at the third time."""

    type_name = "s3"

    def __init__(self, message: str) -> None:
        self.message, self.n_asked, self.written = message, 0, io.BytesIO()

    def open_output_stream(self, path: str) -> io.BytesIO:
        self.n_asked += 1
        if self.n_asked < 3:
            raise OSError(self.message)
        self.written = Kept()
        return self.written


class Kept(io.BytesIO):
    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("message", "n_asked"), [("AWS Error NETWORK_CONNECTION", 3), ("AWS Error ACCESS_DENIED during PutObject", 1)]
)
def test_a_row_is_worth_waiting_for(monkeypatch: pytest.MonkeyPatch, message: str, n_asked: int) -> None:
    monkeypatch.setattr("results.store_files._PAUSE_S", 0.0)
    away = _Away(message)
    files = StoreFiles("s3://bucket/runs", away, "bucket/runs")
    with contextlib.nullcontext() if n_asked == 3 else pytest.raises(StoreError, match="give credentials"):
        files.put("a.parquet", pa.py_buffer(b"row"))
    assert (away.n_asked, away.written.getvalue()) == (n_asked, b"row" if n_asked == 3 else b"")
    # A command that only tries whether it could write says at once that it cannot.
    with pytest.raises(StoreError):
        StoreFiles("s3://bucket/runs", _Away(message), "bucket/runs").probe()


class _Refusing(http.server.BaseHTTPRequestHandler):
    """Knows no key."""

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self) -> None:
        body = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_POST = _refuse

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("keys", ["wrong", "none"])
def test_credentials_that_are_refused(keys: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if keys == "none":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
    refusing = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    thread = threading.Thread(target=refusing.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        where = f"endpoint_override=127.0.0.1:{refusing.server_port}&scheme=http&region=us-east-1"
        store = open_store(f"s3://{'KEY:secret@' if keys == 'wrong' else ''}bucket/runs?{where}")
        assert "secret" not in store.uri
        for use in (store.check_writable, store.read, store.finished_ids):
            with pytest.raises(StoreError, match="give credentials that may list, read and write there") as caught:
                use()
            assert "\n" not in str(caught.value)
            assert "secret" not in str(caught.value)
    finally:
        refusing.shutdown()
        thread.join()
        refusing.server_close()


def test_the_environment_may_name_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    server = start("s3")
    try:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        store = open_store("s3://bucket/runs")
        store.write(make_record())
        assert store.read().num_rows == 1
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3://", "names no bucket or folder"),
        ("s3://bucket/runs?nonsense=1", "Unexpected query parameter in S3 URI: 'nonsense'"),
        ("gs://bucket/runs?nonsense=1", "nonsense"),
        ("s3://bucket/runs?endpoint_override=127.0.0.1:9&scheme=ftp", "correct it"),
    ],
)
def test_an_address_that_cannot_be_right(uri: str, told: str) -> None:
    with pytest.raises(StoreError) as caught:
        open_store(uri)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_region_that_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    # What pyarrow raises where it asks Amazon for the bucket's region and there is no way out.
    def ask(uri: str) -> None:
        raise OSError(
            "When resolving region for bucket 'b': AWS Error NETWORK_CONNECTION during HeadBucket operation: curlCode: "
            "6, Could not resolve hostname"
        )

    file_system = SimpleNamespace(from_uri=ask)
    monkeypatch.setattr("results.addresses.pafs", SimpleNamespace(FileSystem=file_system))
    with pytest.raises(StoreError, match=r"cannot be reached .*add \?region=NAME .* or set AWS_DEFAULT_REGION"):
        open_store("s3://b/runs")


def test_secrets_are_not_shown() -> None:
    assert shown("s3://KEY:secret@bucket/runs") == "s3://KEY:***@bucket/runs"
    assert shown("gs://anonymous@bucket/a:b@c") == "gs://anonymous@bucket/a:b@c"


def test_what_helps_is_told_by_the_error() -> None:
    assert "free space" in remedy(OSError(28, "No space left on device"))
    assert "free space" in remedy(OSError(122, "Disk quota exceeded"))
    assert "permissions" in remedy(OSError(13, "Something else"))
