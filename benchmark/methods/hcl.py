"""Hard-negative reweighting: no candidate is removed, the similar ones count more.

Source: Robinson et al. 2021, arXiv 2010.04592; defaults of the authors' repository joshr17/HCL.
Differs: encoder and views are those of ours, so that only the loss differs.
Cost: that of NT-Xent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmark.methods.nt_xent import NTXent
from hsicl_core.losses.hcl import HardNegativeLoss


@dataclass(frozen=True, kw_only=True)
class HardNegatives(NTXent):
    """Plain candidates under the hard-negative loss.

    Attributes:
        beta: concentration on hard negatives, >= 0; 0 is the debiased loss.
        tau_plus: probability that a candidate has the anchor's class, in [0, 1).
    """

    temperature: float = 0.5
    beta: float = 1.0
    tau_plus: float = 0.1

    protocols: ClassVar[tuple[str, ...]] = ("linear",)
    search_space: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "temperature": (0.1, 0.2, 0.5),
        "beta": (0.5, 1.0, 2.0),
    }

    def make_loss(self) -> HardNegativeLoss:
        """Return the hard-negative loss."""
        return HardNegativeLoss(temperature=self.temperature, beta=self.beta, tau_plus=self.tau_plus)
