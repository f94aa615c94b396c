"""Debiased contrastive learning: the expected share of false negatives is taken out of the sum, no candidate is.

Source: Chuang et al. 2020, arXiv 2007.00224; defaults of the authors' repository chingyaoc/DCL.
Differs: encoder and views are those of ours, so that only the loss differs.
Cost: that of NT-Xent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods.nt_xent import NTXent
from hsicl_core.losses.debiased import DebiasedLoss


@dataclass(frozen=True, kw_only=True)
class Debiased(NTXent):
    """Plain candidates under the debiased loss.

    Attributes:
        tau_plus: probability that a candidate has the anchor's class, in [0, 1).
    """

    temperature: float = 0.5
    tau_plus: float = 0.1

    protocols: ClassVar[tuple[str, ...]] = ("linear",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.1, 0.2, 0.5),
        "tau_plus": (0.05, 0.1, 0.2),
    }

    def make_loss(self) -> DebiasedLoss:
        """Return the debiased loss."""
        return DebiasedLoss(temperature=self.temperature, tau_plus=self.tau_plus)
