"""Search: choose configurations on validation, then run what is chosen as ordinary trials.

What is suggested depends on the seed and on earlier scores only: suggestions come in batches of fixed size, and a batch
is scored as a whole before the next is asked for. The executor and the order in which trials end do not matter. Where
seconds are an objective, earlier scores are measured times: two stores may then see other suggestions, one store never.
Trials of a search have the purpose ``"search"``: they are scored on validation only and enter no table.

``run.py`` starts here; ``scoring.py`` runs and scores configurations; ``candidates.py``, ``halving.py`` and
``by_optuna.py`` decide which.
"""

from __future__ import annotations

from sweeps.search.description import describe_search
from sweeps.search.run import run_sweep
from sweeps.search.scoring import validation_accuracies
from sweeps.search.settings import SearchSettings

__all__ = ["SearchSettings", "describe_search", "run_sweep", "validation_accuracies"]
