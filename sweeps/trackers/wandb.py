"""Weights & Biases: runs of the project ``$WANDB_PROJECT``, by Ray's ``WandbLoggerCallback``."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from benchmark import MissingPackageError
from sweeps.trackers.base import Tracker


class Wandb(Tracker):
    """The package's own settings hold: ``WANDB_API_KEY``, ``WANDB_PROJECT``, ``WANDB_MODE=offline``, ``WANDB_DIR``."""

    def callback(self, experiment: str) -> Any:
        """See ``Tracker.callback``."""
        if importlib.util.find_spec("wandb") is None:
            raise MissingPackageError("wandb", "--track wandb")
        from ray.air.integrations.wandb import WandbLoggerCallback

        # The processes that write have the environment of their machine, not of this one.
        settings = {name: os.environ.get(f"WANDB_{name.upper()}") for name in ("mode", "dir")}
        return WandbLoggerCallback(
            project=os.environ.get("WANDB_PROJECT", "hsicl"), group=experiment,
            **{name: value for name, value in settings.items() if value},
        )  # fmt: skip
