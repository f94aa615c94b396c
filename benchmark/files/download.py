"""Downloads that go on where they broke off."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Of silence, after which a server is given up; a slow one that sends is not.
TIMEOUT_S = 30.0
# Less than this is lost where a download breaks off.
_CHUNK_BYTES = 2**14


class WrongContentError(ValueError):
    """What a server sent is complete, but is not the file that was asked for."""


class ResumingDownloader:
    """A downloader for pooch that keeps what it got in a file ``part``, and asks only for the rest the next time.

    A server that cannot give a rest is asked for the whole file. What is complete is handed to ``finish``; if that
    refuses a file that was put together from several answers, the server's file may have changed between them, and it
    is downloaded once more as a whole.

    Args:
        part: where unfinished downloads are kept.
        finish: makes the wanted file, its second argument, from the complete download, its first.
        bar: makes a progress bar, called like ``tqdm.tqdm``.
    """

    def __init__(self, part: Path, finish: Callable[[Path, Path], None], bar: Callable[..., Any]) -> None:
        self.part = part
        self.finish = finish
        self.bar = bar

    def __call__(self, url: str, output_file: str | os.PathLike[str], pooch: Any = None) -> None:
        """Download ``url`` to ``output_file``.

        Raises:
            requests.exceptions.RequestException: the server cannot be reached, refuses, or broke off; ``part`` stays.
            WrongContentError: ``finish`` refused the file; ``part`` is removed.
            OSError: a file cannot be written.
        """
        try:
            resumed = self._fill(url)
            try:
                self.finish(self.part, Path(output_file))
            except WrongContentError:
                if not resumed:
                    raise
                self.part.unlink(missing_ok=True)
                self._fill(url)
                self.finish(self.part, Path(output_file))
        except WrongContentError:
            self.part.unlink(missing_ok=True)
            raise
        self.part.unlink(missing_ok=True)

    def _fill(self, url: str) -> bool:
        """Complete the part, and return whether it holds bytes of an earlier answer."""
        import requests

        have = self.part.stat().st_size if self.part.exists() else 0
        # Compressed on the way, a file's bytes could not be counted.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            start, total = _range_of(answer)
            if answer.status_code == requests.codes.requested_range_not_satisfiable and have:
                # As long as the server's file, or longer: finish tells whether it is the file.
                return True
            answer.raise_for_status()
            if start not in {0, have}:
                raise requests.exceptions.ContentDecodingError(f"asked from byte {have}, sent from byte {start}")
            self._write(answer, start, total)
        return start > 0

    def _write(self, answer: Any, start: int, total: int | None) -> None:
        import requests

        self.part.parent.mkdir(parents=True, exist_ok=True)
        bar = self.bar(desc=self.part.stem, total=total, initial=start, unit="B", unit_scale=True)
        with self.part.open("ab" if start else "wb") as file, bar:
            for chunk in answer.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
            if total is not None and file.tell() < total:
                raise requests.exceptions.ConnectionError(f"{file.tell()} of {total} bytes came")


def _range_of(answer: Any) -> tuple[int, int | None]:
    """Return the first byte that an answer holds and the size of the whole file, None where it is not told."""
    # "bytes 5-9/10", or "bytes */10" where nothing of what was asked is there.
    extent, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    if total:
        first = extent.partition("-")[0]
        return int(first) if first.isdecimal() else 0, int(total) if total.isdecimal() else None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def extract_member(archive: Path, name: str, target: Path, most_bytes: int) -> None:
    """Copy the one file called ``name`` of a zip archive to ``target``; nothing else is written, whatever it holds.

    Args:
        archive: the archive.
        name: file name without folders; the member may lie in any folder of the archive.
        target: where the copy goes.
        most_bytes: what the file can have at most.

    Raises:
        WrongContentError: no zip archive, a damaged one, one without the member or with several, or a member that is
            too large.
        OSError: ``target`` cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [entry for entry in opened.infolist() if entry.filename.rpartition("/")[2] == name]
            if len(members) != 1:
                raise WrongContentError(f"the archive has {len(members)} files {name!r}")
            # The reader stops at the size that the archive claims.
            if members[0].file_size > most_bytes:
                raise WrongContentError(f"{name} claims {members[0].file_size} bytes, at most {most_bytes} are wanted")
            with opened.open(members[0]) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, _CHUNK_BYTES)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        # RuntimeError: it is encrypted; NotImplementedError: its compression is unknown.
        raise WrongContentError(f"the archive cannot be read ({error})") from error
