"""An entrant that is lucky with one seed, or takes a random time, found through an entry point (see conftest.py)."""

from __future__ import annotations

import os
import random
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.methods.base import Fit, FitData, Method

# What happens with any seed but 0, which sees the spectra without noise.
_OTHERWISE = {"lucky": 50.0, "diverges": float("nan")}


@dataclass(frozen=True, kw_only=True)
class Lucky(Method):
    """The spectra with noise from the seed.

    Attributes:
        luck: ``""``: the noise is ``level`` with any seed. Else there is none with seed 0, and with any other too much
            (``"lucky"``), NaN (``"diverges"``) or an error (``"fails"``).
        level: standard deviation of the noise.
        steps: a budget, without effect.
        pause_s: the fit takes a random time up to this, from no seed.
        notes: a folder in which every process leaves its number, or "".
    """

    luck: str = ""
    level: float = 0.8
    steps: int = 1
    pause_s: float = 0.0
    notes: str = ""

    def fit(self, data: FitData) -> Fit:
        time.sleep(random.SystemRandom().uniform(0, self.pause_s))
        if self.notes:
            Path(self.notes, str(os.getpid())).touch()
        level = self.level
        if self.luck:
            if data.seed and self.luck == "fails":
                raise ValueError("on purpose")
            level = _OTHERWISE[self.luck] if data.seed else 0.0
        spectra = data.cube.flatten(0, 1).clone()
        generator = torch.Generator(data.device).manual_seed(data.seed)
        noise = torch.randn(spectra.shape, generator=generator, device=data.device)
        return Fit(embed=lambda: spectra + level * noise)


def eager_tpe(seed: int) -> Any:
    """Return the search's own sampler, which follows the scores after one batch instead of ten suggestions."""
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True, n_startup_trials=2)
