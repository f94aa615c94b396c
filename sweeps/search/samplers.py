"""A user's own Optuna sampler, named as ``PACKAGE.MODULE:FACTORY``."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from benchmark import InvalidValueError


def load_sampler(optuna: Any, name: str, seed: int) -> Any:
    """Return the sampler that a factory gives, e.g. ``optuna.samplers:NSGAIISampler``.

    Args:
        optuna: the module.
        name: a module that Python can import, a colon, and a class or function in it that takes ``seed=``.
        seed: seed of the suggestions.

    Raises:
        InvalidValueError: there is no such factory, or it does not give a sampler for a seed.
    """
    factory = _factory(name)
    try:
        inspect.signature(factory).bind(seed=seed)
    except TypeError as error:
        raise InvalidValueError(
            f"--sampler {name!r} must be callable with seed= and nothing else ({error}): name a function of yours that "
            "fills in the rest"
        ) from error
    except ValueError:
        pass  # no signature to look at: the call will tell
    try:
        sampler = factory(seed=seed)
    except Exception as error:
        raise InvalidValueError(
            f"--sampler {name!r}: called with seed={seed} it raised {type(error).__name__} ({error}): mend it, or name "
            "another one"
        ) from error
    if not isinstance(sampler, optuna.samplers.BaseSampler):
        raise InvalidValueError(
            f"--sampler {name!r} gives {type(sampler).__name__}, which is no optuna.samplers.BaseSampler: name a class "
            "or function that gives one"
        )
    return sampler


def _factory(name: str) -> Any:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise InvalidValueError(
            f"--sampler {name!r} is not PACKAGE.MODULE:FACTORY: write e.g. optuna.samplers:NSGAIISampler"
        )
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise InvalidValueError(
            f"--sampler {name!r}: {module!r} cannot be imported ({error}): install it, or add its folder to PYTHONPATH"
        ) from error
    try:
        return getattr(found, attribute)
    except AttributeError:
        public = ", ".join(sorted(each for each in vars(found) if not each.startswith("_")))
        raise InvalidValueError(
            f"--sampler {name!r}: module {module!r} has no {attribute!r}: it has {public[:200] or 'nothing'}"
        ) from None
