"""The control of elimination: for each anchor as many candidates are removed as ours would, but at random.

Source: ours. What ``mined_negatives`` gains over this is due to which negatives it removes, not to how many.
Differs: from ``mined_negatives`` in the choice of the removed candidates only.
Cost: that of ours plus one sort of random numbers per step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmark.methods.mined_negatives import MinedNegatives
from hsicl_core.errors import InvalidValueError
from hsicl_core.miners.equal_count import EqualCountMiner


@dataclass(frozen=True, kw_only=True)
class EqualCount(MinedNegatives):
    """Random elimination of equal counts, then the mixture of hard and easy negatives."""

    kind: ClassVar[str] = "other"
    protocols: ClassVar[tuple[str, ...]] = ("linear",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.elimination != "hard":
            raise InvalidValueError(
                f"equal_count imitates elimination='hard' only, got elimination={self.elimination!r}"
            )

    def make_miner(self) -> EqualCountMiner:
        """Return the control's miner."""
        return EqualCountMiner(**self.mixture_options())
