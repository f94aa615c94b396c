"""MLflow: runs of an experiment at ``$MLFLOW_TRACKING_URI``, by Ray's ``MLflowLoggerCallback``."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from benchmark import MissingPackageError
from sweeps.trackers.base import Tracker

_HERE = "sqlite:///tracking/mlflow.db"


class MLflow(Tracker):
    """Without ``$MLFLOW_TRACKING_URI`` a database here: ``mlflow ui --backend-store-uri sqlite:///tracking/mlflow.db``."""

    def callback(self, experiment: str) -> Any:
        """See ``Tracker.callback``."""
        if importlib.util.find_spec("mlflow") is None:
            raise MissingPackageError("mlflow", "--track mlflow")
        from ray.air.integrations.mlflow import MLflowLoggerCallback

        if "MLFLOW_TRACKING_URI" not in os.environ:
            os.makedirs("tracking", exist_ok=True)
        uri = os.environ.get("MLFLOW_TRACKING_URI", _HERE)
        return MLflowLoggerCallback(tracking_uri=uri, experiment_name=experiment)
