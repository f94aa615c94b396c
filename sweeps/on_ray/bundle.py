"""Bundle: what one tune_trial runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmark import Trial
from sweeps.executors.base import Pack
from sweeps.on_ray.packing import Room


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """Packs of fits that run one after the other in one worker.

    Attributes:
        packs: fits that are trained as one, mostly a single one, each with the trials that share it.
        device: where they compute.
        room: what the worker is given.
        n_losses: workers that were lost with the first pack so far.
    """

    packs: tuple[Pack, ...]
    device: str
    room: Room
    n_losses: int = 0

    @property
    def first(self) -> Trial:
        """Its first trial; the scene of all is this one's, and so are method and parameters where no fit is fused."""
        return self.packs[0][0][0]

    @property
    def name(self) -> str:
        """What trackers call it."""
        return f"{self.first.method}-{self.first.scene}-seed{self.first.seed}-{self.first.trial_id[:8]}"

    def shown(self) -> dict[str, Any]:
        """Return what trackers show of it."""
        trial = self.first
        return {"scene": trial.scene, "method": trial.method, "seed": trial.seed, **trial.method_params()}
