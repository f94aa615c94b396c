"""The contract of a tracker: one of Ray's own callbacks, which shows a run elsewhere. Never the truth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class Tracker(ABC):
    """Shows every fit as a run: its parameters, its curves by step, its mean validation accuracy.

    Test numbers are not shown: whoever watches a tracker chooses by what is on it. The store is written all the same.
    """

    @abstractmethod
    def callback(self, experiment: str) -> Any:
        """Return a callback for Ray Tune (``ray.tune.Callback``).

        Args:
            experiment: what the run is called there.

        Raises:
            MissingPackageError: the package is not installed.
            InvalidValueError: the tracker is not set up.
        """


MEMBER: Any = Tracker
