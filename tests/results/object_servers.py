"""Servers that speak S3 and Google Cloud Storage on loopback, each a process of its own, with an empty bucket."""

from __future__ import annotations

import http.client
import importlib.util
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        kind: ``"s3"`` or ``"gs"``.
        port: where it listens on 127.0.0.1.
        process: itself.
    """

    kind: str
    port: int
    process: subprocess.Popen[bytes]

    def uri(self, path: str) -> str:
        """Return the address of ``BUCKET/FOLDER`` there."""
        where = f"endpoint_override=127.0.0.1:{self.port}&scheme=http"
        if self.kind == "s3":
            return f"s3://{path}?{where}&region=us-east-1"
        return f"gs://anonymous@{path}?{where}&retry_limit_seconds=1"

    def request(self, method: str, path: str, body: bytes = b"") -> int:
        """Return the status of one HTTP request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


_MODULES = {"s3": "moto", "gs": "gcp_storage_emulator"}
_MAKE_BUCKET = {"s3": ("PUT", "/bucket"), "gs": ("POST", "/storage/v1/b?project=p", b'{"name": "bucket"}')}


def start(kind: str) -> Server:
    """Return a server of that kind with the bucket "bucket"; the test is skipped where its package is not there."""
    if importlib.util.find_spec(_MODULES[kind]) is None:
        pytest.skip(f"package {_MODULES[kind]} is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "s3": ["moto.server", "-H", "127.0.0.1", "-p", str(port)],
        "gs": ["gcp_storage_emulator", "start", "--host", "127.0.0.1", "--port", str(port), "--in-memory"],
    }
    process = subprocess.Popen(
        [sys.executable, "-m", *options[kind]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = Server(kind, port, process)
    try:
        _wait_for(server)
        assert server.request(*_MAKE_BUCKET[kind]) == 200
    except BaseException:
        server.stop()
        raise
    return server


def _wait_for(server: Server) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert server.process.poll() is None, "the server ended at once"
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not listen within a minute")
