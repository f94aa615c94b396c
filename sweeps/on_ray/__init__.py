"""What of the sweeps room imports Ray, beside the executor and the trackers. Importing it imports Ray."""

from benchmark import MissingPackageError

try:
    import ray
    from ray import tune
except ImportError as error:
    raise MissingPackageError("ray[tune]", "--executor ray") from error

__all__ = ["ray", "tune"]
