"""fetch_scene: pinned downloads into the data root."""

from __future__ import annotations

import logging
from pathlib import Path

from benchmark.registries import SCENES
from benchmark.scenes.base import SceneCard, SceneFile, data_root
from hsicl_core.errors import MissingPackageError, SceneError, SceneNotFoundError

TIMEOUT_S = 30


def fetch_scene(name: str, root: Path | None = None, *, progress: bool = False) -> list[Path]:
    """Download what a registered scene lacks; files that are there already are kept.

    Args:
        name: registered name.
        root: data root; None takes ``data_root()``.
        progress: show a progress bar (needs tqdm).

    Returns:
        Where the scene's files lie, in the order of its card.

    Raises:
        UnknownNameError: no such scene.
        SceneNotFoundError: nobody serves a file; says where to get it and where to put it.
        SceneError: a download failed or is not the file that the card names; nothing of it is left behind.
        MissingPackageError: pooch, or the package that ships the scene, is not installed.
    """
    return fetch_card(SCENES.get(name), data_root() if root is None else root, progress=progress)


def fetch_card(card: SceneCard, root: Path, *, progress: bool = False) -> list[Path]:
    """Download what the scene of ``card`` lacks into ``root``; see ``fetch_scene``."""
    paths = []
    for role, file in card.files.items():
        found = card.find_file(role, root)
        paths.append(found if found is not None else _download(card, file, root, progress))
    return paths


def _download(card: SceneCard, file: SceneFile, root: Path, progress: bool) -> Path:
    target = root / file.path
    by_hand = f"get it by hand from {card.source} and put it at {target}"
    if card.package is not None:
        raise MissingPackageError(card.package[0], f"scene {card.name!r}, which it ships,")
    if file.url is None or file.sha256 is None:
        raise SceneNotFoundError(f"scene {card.name!r}: no address is known for {target.name}: {by_hand}")
    try:
        import pooch
        import requests
    except ImportError as error:
        raise MissingPackageError("pooch", "fetching scenes") from error
    # Its remarks go to stderr, where only the outcome belongs.
    pooch.get_logger().setLevel(logging.WARNING)
    try:
        pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(progressbar=progress, timeout=TIMEOUT_S),
        )
    except requests.exceptions.RequestException as error:
        cause = type(error).__name__
        status = getattr(error.response, "status_code", None)
        if status is not None:
            cause += f" {status}"
        raise SceneError(
            f"scene {card.name!r}: download of {file.url} failed ({cause}): try again later, or {by_hand}"
        ) from error
    except ValueError as error:
        standing = "" if file.is_verified else ", which the project could not verify itself"
        raise SceneError(
            f"scene {card.name!r}: what {file.url} serves has not the SHA-256 {file.sha256[:12]}... of the card"
            f"{standing}: the file is another edition or was changed on the way; {by_hand}"
        ) from error
    except OSError as error:
        raise SceneError(
            f"cannot write {target} ({error.strerror or error}): set HSICL_DATA to a folder you may write to"
        ) from error
    return target
