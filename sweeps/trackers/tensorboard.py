"""TensorBoard: event files under ``tracking/tensorboard/EXPERIMENT``, by Ray's ``TBXLoggerCallback``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark import MissingPackageError
from sweeps.trackers.base import Tracker

FOLDER = Path("tracking/tensorboard")


class TensorBoard(Tracker):
    """``tensorboard --logdir tracking/tensorboard`` shows it, also while it runs."""

    def callback(self, experiment: str) -> Any:
        """See ``Tracker.callback``."""
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise MissingPackageError("tensorboardX", "--track tensorboard") from error
        from ray.tune.logger import TBXLoggerCallback

        callback = TBXLoggerCallback()
        # Ray would write into a folder of its own, which goes with the run.
        callback._summary_writer_cls = lambda path, **settings: SummaryWriter(
            str(FOLDER.absolute() / experiment / Path(path).name), **settings
        )
        return callback
