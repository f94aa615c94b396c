"""What a user says of a search."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

NO_SCHEDULER = "none"

# How many suggestions a search asks for, of ``n_configs`` and the size of the grid.
_N_SUGGESTED: dict[str, Callable[[int, int], int]] = {
    "grid": lambda n_configs, n_grid: n_grid,
    "random": min,
    "optuna": lambda n_configs, n_grid: n_configs,
}


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How configurations are chosen; the default runs the whole grid and chooses nothing.

    Attributes:
        search: ``"grid"`` (all configurations), ``"random"`` or ``"optuna"`` (multivariate TPE, with constant liar).
        scheduler: ``"none"``, or how configurations are stopped early, on rungs of a ninth, a third and all of
            ``steps``. ``"asha"``: asynchronous successive halving (Li et al. 2020, arXiv 1810.05934, by Optuna).
            ``"sha"``: the synchronous one, for grid and random. ``"median"``: median stopping (Golovin et al. 2017,
            doi 10.1145/3097983.3098043, by Optuna): what is below the median of those that ran in full stops. It
            differs from the paper in that a configuration's best accuracy so far is compared with the median at the
            same rung, not running averages, and in that the first batch runs in full. All differ in that a
            configuration is trained anew on every rung, since its learning rate follows the rung's own length.
        objective: ``"accuracy"`` chooses the configuration of highest mean validation OA. ``"accuracy,seconds"``
            chooses all that are on the Pareto front of it and the mean seconds of the fit, as stored; without a
            scheduler. Seconds are measured, so an Optuna search in another store may suggest others; in the same store
            it reads what was measured and suggests the same.
        sampler: the user's own Optuna sampler as ``PACKAGE.MODULE:FACTORY``, called with ``seed=``; None for TPE.
        n_configs: suggestions of a random or Optuna search per scene, >= 1; repeated ones cost nothing.
        seed: seed of the suggestions.
    """

    search: str = "grid"
    scheduler: str = NO_SCHEDULER
    objective: str = "accuracy"
    sampler: str | None = None
    n_configs: int = 16
    seed: int = 0

    @property
    def stops_early(self) -> bool:
        """Whether a scheduler trains on rungs."""
        return self.scheduler != NO_SCHEDULER

    def n_suggested(self, n_grid: int) -> int:
        """Return the number of suggestions over a grid of ``n_grid`` configurations; the search is a known one."""
        return _N_SUGGESTED[self.search](self.n_configs, n_grid)
