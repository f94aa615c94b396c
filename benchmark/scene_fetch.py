"""fetch_scene: pinned downloads into the data root."""

from __future__ import annotations

import logging
import math
import os
from functools import partial
from pathlib import Path

from benchmark.files.download import ResumingDownloader, WrongContentError, extract_member
from benchmark.files.file_search import FileSearch
from benchmark.registries import SCENES
from benchmark.scenes.base import SceneCard, SceneFile, data_root
from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError

# Besides eight bytes per value: headers.
_HEADER_BYTES = 2**20


def fetch_scene(name: str, root: Path | None = None, *, progress: bool = False) -> list[Path]:
    """Download what a registered scene lacks; files that are there already are kept.

    Only what can be compared with a known SHA-256 or git blob id is downloaded. A download that broke off is kept as
    NAME.part and goes on the next time; under the final name there is never anything but the whole, known file.

    Args:
        name: registered name.
        root: data root; None takes ``data_root()``.
        progress: show progress bars on stderr.

    Returns:
        Where the scene's files lie, in the order of its card.

    Raises:
        UnknownNameError: no such scene.
        SceneNotFoundError: nobody serves a file, or no identity of it is known, once the others are there; says where
            to get it and where to put it.
        SceneError: a download failed or is not the file that the card names.
        MissingPackageError: pooch, or the package that ships the scene, is not installed.
    """
    return fetch_card(SCENES.get(name), data_root() if root is None else root, progress=progress)


def fetch_card(card: SceneCard, root: Path, *, progress: bool = False) -> list[Path]:
    """Download what the scene of ``card`` lacks into ``root``; see ``fetch_scene``."""
    search = FileSearch(root)
    paths = []
    by_hand = []
    for role, file in card.files.items():
        found = card.find(role, search)
        if found is not None:
            paths.append(found.path)
        elif card.package is not None:
            raise MissingPackageError(card.package[0], f"scene {card.name!r}, which it ships,")
        elif file.url is None or not file.has_identity:
            lacks = "address" if file.url is None else "identity"
            by_hand.append(f"no {lacks} is known for {file.name}: {card.remedy(role, root)}")
        else:
            paths.append(_download(card, file, root, progress))
    if by_hand:
        raise SceneNotFoundError(f"scene {card.name!r}: {'; '.join(by_hand)}")
    return paths


def _download(card: SceneCard, file: SceneFile, root: Path, progress: bool) -> Path:
    try:
        import pooch
        import requests
        from tqdm import tqdm
    except ImportError as error:
        raise MissingPackageError("pooch", "fetching scenes") from error

    def finish(download: Path, wanted: Path) -> None:
        if file.member is None:
            os.replace(download, wanted)
        else:
            extract_member(download, file.member, wanted, math.prod(card.shape) * 8 + _HEADER_BYTES)
        if not file.is_known(wanted):
            raise WrongContentError("it has neither the SHA-256 nor the git blob id of the card")

    # Its remarks go to stderr, where only the outcome belongs.
    pooch.get_logger().setLevel(logging.WARNING)
    target = root / file.path
    downloader = ResumingDownloader(
        target.with_name(f"{target.name}.part"), finish, bar=partial(tqdm, disable=not progress)
    )
    by_hand = f"get it by hand from {card.source} and put it at {target}"
    try:
        pooch.retrieve(
            file.url,
            # finish has compared it already, also with identities that pooch does not know.
            known_hash=None,
            fname=target.name,
            path=target.parent,
            downloader=downloader,
        )
    except requests.exceptions.RequestException as error:
        cause = type(error).__name__
        status = getattr(error.response, "status_code", None)
        if status is not None:
            cause += f" {status}"
        raise SceneError(
            f"scene {card.name!r}: download of {file.url} failed ({cause}): try again later, which goes on where it "
            f"broke off, or {by_hand}"
        ) from error
    except WrongContentError as error:
        standing = "" if file.is_verified else "; the project could not verify that one itself"
        raise SceneError(
            f"scene {card.name!r}: what {file.url} serves is not the file that the card names ({error}{standing}): it "
            f"is another edition or was changed on the way; {by_hand}"
        ) from error
    except OSError as error:
        raise SceneError(
            f"cannot write {target} ({error.strerror or error}): set HSICL_DATA to a folder you may write to"
        ) from error
    return target
