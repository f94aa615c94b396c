"""What every registered method must do on a device that is not the host: mix no tensors of the two."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark import METHODS
from benchmark.diagnostics import NegativeDiagnostics, Reporter
from benchmark.memo import Memo, ScopedMemo
from benchmark.methods.base import Method
from tests.another_device import DEVICE, DeviceError, another_device, to_host
from tests.benchmark.entrants import tiny_params
from tests.contracts import cheats
from tests.contracts.test_methods import SCENE, data, each, fitted

TRUTH = torch.from_numpy(SCENE.labels.reshape(-1).copy())


def fitted_there(method: type[Method]) -> tuple[Tensor, Tensor | None]:
    """Return embedding and class scores of the usual fit on the device, after a diagnosed training and fine-tuning."""
    entrant = method(**tiny_params(method))
    given = data(entrant)
    with another_device() as device:
        fit = entrant.fit(
            dataclasses.replace(
                given, cube=given.cube[:].to(device), pixels=given.pixels.to(device), labels=given.labels.to(device),
                device=device, memo=ScopedMemo(Memo()), observer=Reporter(NegativeDiagnostics(TRUTH.to(device))),
            )
        )  # fmt: skip
        embedded = fit.embed()
        scores = None if fit.classify is None else to_host(fit.classify(embedded))
        if fit.fine_tune is not None:
            pixels = torch.arange(0, SCENE.labels.size, 97, device=device)
            assert to_host(fit.fine_tune(pixels, pixels % 3, 2, 0.01)).isfinite().all()
    return to_host(embedded), scores


@each
def test_it_gives_there_what_it_gives_on_the_host(name: str) -> None:
    here = fitted(METHODS.get(name))
    embedding, scores = fitted_there(METHODS.get(name))
    # The optimiser rounds otherwise, which batch normalisation over few values blows up.
    torch.testing.assert_close(embedding, here.embedding, rtol=1e-2, atol=1e-2)
    assert (scores is None) == (here.fit.classify is None)
    if here.fit.classify is not None:
        torch.testing.assert_close(scores, here.fit.classify(here.embedding), rtol=1e-2, atol=1e-2)


def test_an_honest_method_passes() -> None:
    embedding, scores = fitted_there(cheats.Honest)
    here = fitted(cheats.Honest)
    assert torch.equal(embedding, here.embedding)
    assert here.fit.classify is not None
    torch.testing.assert_close(scores, here.fit.classify(here.embedding))


@pytest.mark.parametrize("method", [cheats.MakesOnTheHost, cheats.DrawsOnTheHost, cheats.TunesOnTheHost])
def test_what_is_made_on_the_host_is_caught(method: type[Method]) -> None:
    with pytest.raises(DeviceError):
        fitted_there(method)


def test_what_goes_to_numpy_without_the_host_is_caught() -> None:
    with pytest.raises(RuntimeError, match=r"numpy\(\) is not supported"):
        fitted_there(cheats.ReadsWithNumpy)


def test_the_device_is_as_strict_as_an_accelerator_and_not_stricter() -> None:
    host = torch.arange(6.0)
    with another_device() as device:
        there = host.to(device)
        assert there.device == DEVICE == (there + 1).device == torch.zeros(2, device=device).device
        indices = torch.tensor([1, 2])
        for mixed in (
            lambda: there + host, lambda: host.mul_(there), lambda: torch.cat([there, host]),
            lambda: host[indices.to(device)], lambda: there.index_put_((indices,), host[:2]),
        ):  # fmt: skip
            with pytest.raises(DeviceError):
                mixed()
        for generator, where in ((torch.Generator(), device), (torch.Generator(device), "cpu")):
            with pytest.raises(DeviceError):
                torch.rand(2, generator=generator, device=where)
        # Numbers and indices may come from the host, and values are copied across.
        assert (there * torch.tensor(2.0)).device == there[indices].device == device
        assert (there[host > 2]).tolist() == [3, 4, 5]
        assert host.clone().copy_(there).device == there.cpu().device == torch.device("cpu")
        assert int(there.max()) == 5
        assert np.array_equal(there.cpu().numpy(), host.numpy())
        assert torch.tensor([1.5], device=device).item() == there.new_tensor([1.5]).item() == 1.5
        there[1:3].mul_(10)
    assert to_host(there).tolist() == [0, 10, 20, 3, 4, 5]
    assert host.tolist() == [0, 1, 2, 3, 4, 5]
