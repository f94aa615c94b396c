"""The science: encoder, views, pseudolabels, miners, losses and the training loop. Tensors in, tensors out.

Names are imported when first used, so that ``import hsicl_core`` does not cost the second that torch takes.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hsicl_core.encoder import Encoder, ProjectionHead
    from hsicl_core.errors import (
        InvalidValueError,
        MissingPackageError,
        SceneError,
        SceneNotFoundError,
        SplitError,
        UnknownNameError,
        UserError,
    )
    from hsicl_core.fine_tuning import fine_tune
    from hsicl_core.losses.mined_info_nce import MinedContrastiveLoss
    from hsicl_core.mined_contrastive import mined_contrastive_loss
    from hsicl_core.miners.base import Candidates, Mask
    from hsicl_core.miners.mixture import MixtureMiner
    from hsicl_core.objective import Labelling, Objective, Supervision
    from hsicl_core.pretraining import pretrain
    from hsicl_core.pseudolabels.consensus import ConsensusPseudoLabeler
    from hsicl_core.pseudolabels.few_label_classifier import FewLabelClassifierPseudoLabeler
    from hsicl_core.pseudolabels.gaussian_mixture import GaussianMixturePseudoLabeler
    from hsicl_core.pseudolabels.k_means import KMeansPseudoLabeler
    from hsicl_core.pseudolabels.mini_batch_k_means import MiniBatchKMeansPseudoLabeler
    from hsicl_core.pseudolabels.none import NoPseudoLabeler
    from hsicl_core.pseudolabels.oracle import OraclePseudoLabeler
    from hsicl_core.pseudolabels.random import RandomPseudoLabeler
    from hsicl_core.pseudolabels.super_pixels import SuperPixelPseudoLabeler
    from hsicl_core.registry import Registry
    from hsicl_core.tiled import tiled_mined_contrastive_loss
    from hsicl_core.training import NonFiniteLossError, Training

_HOME = {
    "Encoder": "encoder",
    "ProjectionHead": "encoder",
    "InvalidValueError": "errors",
    "MissingPackageError": "errors",
    "SceneError": "errors",
    "SceneNotFoundError": "errors",
    "SplitError": "errors",
    "UnknownNameError": "errors",
    "UserError": "errors",
    "MinedContrastiveLoss": "losses.mined_info_nce",
    "mined_contrastive_loss": "mined_contrastive",
    "tiled_mined_contrastive_loss": "tiled",
    "MixtureMiner": "miners.mixture",
    "KMeansPseudoLabeler": "pseudolabels.k_means",
    "MiniBatchKMeansPseudoLabeler": "pseudolabels.mini_batch_k_means",
    "GaussianMixturePseudoLabeler": "pseudolabels.gaussian_mixture",
    "ConsensusPseudoLabeler": "pseudolabels.consensus",
    "SuperPixelPseudoLabeler": "pseudolabels.super_pixels",
    "RandomPseudoLabeler": "pseudolabels.random",
    "NoPseudoLabeler": "pseudolabels.none",
    "FewLabelClassifierPseudoLabeler": "pseudolabels.few_label_classifier",
    "OraclePseudoLabeler": "pseudolabels.oracle",
    "Registry": "registry",
    "NonFiniteLossError": "training",
    "Training": "training",
    "Candidates": "miners.base",
    "Mask": "miners.base",
    "Labelling": "objective",
    "Objective": "objective",
    "Supervision": "objective",
    "pretrain": "pretraining",
    "fine_tune": "fine_tuning",
}

__all__ = [
    "Candidates",
    "ConsensusPseudoLabeler",
    "Encoder",
    "FewLabelClassifierPseudoLabeler",
    "GaussianMixturePseudoLabeler",
    "InvalidValueError",
    "KMeansPseudoLabeler",
    "Labelling",
    "Mask",
    "MinedContrastiveLoss",
    "MiniBatchKMeansPseudoLabeler",
    "MissingPackageError",
    "MixtureMiner",
    "NoPseudoLabeler",
    "NonFiniteLossError",
    "Objective",
    "OraclePseudoLabeler",
    "ProjectionHead",
    "RandomPseudoLabeler",
    "Registry",
    "SceneError",
    "SceneNotFoundError",
    "SplitError",
    "SuperPixelPseudoLabeler",
    "Supervision",
    "Training",
    "UnknownNameError",
    "UserError",
    "fine_tune",
    "mined_contrastive_loss",
    "pretrain",
    "tiled_mined_contrastive_loss",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"hsicl_core.{_HOME[name]}"), name)
    raise AttributeError(f"module 'hsicl_core' has no attribute {name!r}")
