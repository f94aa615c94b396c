"""How the few labels enter, and whether pretraining may see the spectra of held-out pixels."""

from sweeps.definitions._study import ALL, PLAIN, study
from sweeps.sweep import Control

_SEEN = {"transductive": (True, False)}

TRAINING_MODES = study(
    "training_modes",
    "Probe, fine-tune or learn jointly, transductive or inductive?",
    axes=_SEEN,
    params=ALL,
    controls=(
        Control(method="nt_xent", axes=_SEEN, params=PLAIN),
        Control(method="oracle_negatives", axes=_SEEN, params=PLAIN),
        # The same pseudolabels, then the labels in three ways.
        Control(method="mined_few_label", params=ALL),
        Control(method="mined_few_label", params=ALL, protocol="fine_tuning"),
        Control(method="mined_negatives", params=ALL, protocol="fine_tuning"),
        Control(method="nt_xent", params=PLAIN, protocol="fine_tuning"),
        Control(
            method="mined_joint", axes={"contrastive_weight": (0.0, 0.1, 0.5)}, params=ALL, protocol="own_classifier"
        ),
    ),
    n_seeds=4,
    n_splits=5,
)
