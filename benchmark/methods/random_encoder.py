"""The control of pretraining: the encoder that the pretrained entrants start from, never trained.

**Source:** random convolutions as a baseline of learnt ones: Jarrett et al. 2009, doi 10.1109/ICCV.2009.5459469.
**Differs:** the architecture is that of ours, and the weights are those that ``nt_xent`` starts from under the same
seed, so that what it gains over this is due to its training. Batch normalisation keeps its initial statistics, mean 0
and variance 1: nothing but the principal components depends on the scene. Statistics of a batch of patches changed
nothing: 70.5 against 70.6 % validation OA, mean of three splits of Indian Pines and three seeds, protocol ``linear``.
Of the parameters of a training, fine-tuning takes views, batch size, weight decay and precision; the others have no
effect.
**Cost:** the principal components.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from benchmark.methods._pretrained import PretrainedMethod
from benchmark.methods.base import Fit, FitData
from hsicl_core.patches import PatchSource


@dataclass(frozen=True, kw_only=True)
class RandomEncoder(PretrainedMethod):
    """Random weights. Under the protocol ``fine_tuning``, the same network trained from scratch on the labels."""

    kind: ClassVar[str] = "trivial"
    protocols: ClassVar[tuple[str, ...]] = ("linear", "fine_tuning")

    def fit(self, data: FitData) -> Fit:
        """Draw the weights and return the dense embedding."""
        _, components = self.inputs(data)
        # See ContrastiveMethod: drawn on the host, and torch's global stream is put back.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(data.seed)
            encoder = self.make_encoder().to(data.device).eval()
        return self.fitted(data, encoder, PatchSource(components, self.patch_size), curves=[])
