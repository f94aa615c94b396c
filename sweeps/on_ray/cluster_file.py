"""Ray's own judgement of a cluster file, without asking any provider."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import jsonschema
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from benchmark import InvalidValueError
from results.errors import one_line

_SCHEMA = Path(ray.autoscaler.__file__).parent / "ray-schema.json"


def read_cluster_file(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        InvalidValueError: no such file, no YAML, or no mapping.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidValueError(f"--cluster {path}: cannot be read as YAML ({one_line(error, limit=None)})") from error
    if not isinstance(found, dict):
        raise InvalidValueError(f"--cluster {path}: a cluster file is a mapping, this is a {type(found).__name__}")
    return found


def prepared(cluster: dict[str, Any]) -> dict[str, Any]:
    """Return ``cluster`` with Ray's defaults filled in, as ``ray up`` would use it.

    Raises:
        InvalidValueError: Ray would refuse it; the message is Ray's reason.
    """
    try:
        # Before Ray completes the file: there its code would stumble over what the schema says plainly.
        jsonschema.validate(cluster, json.loads(_SCHEMA.read_text(encoding="utf-8")))
        # Ray's launcher prints and logs before it raises; the reason is in what it raises.
        logging.getLogger(prepare_config.__module__).setLevel(logging.CRITICAL)
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            complete: dict[str, Any] = prepare_config(cluster)
            validate_config(complete)
    except jsonschema.ValidationError as error:
        raise InvalidValueError(f"{error.json_path.removeprefix('$.')}: {error.message}") from error
    except Exception as error:
        # Whatever Ray's code stumbles over in a file of the wrong form.
        raise InvalidValueError(f"{type(error).__name__}: {error}") from error
    return complete
