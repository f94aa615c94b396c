"""Noise on pseudolabels: its share is exact, it nests, it forgets everything at full share."""

from __future__ import annotations

import pytest
import torch

from benchmark.diagnostics import clustering_quality
from hsicl_core import InvalidValueError
from hsicl_core.label_noise import replace_labels


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.1, 9), (0.25, 23), (0.5, 45), (1.0, 90)])
def test_the_share_that_noise_replaces_is_exact(share: float, count: int) -> None:
    # Every label occurs once, so that a draw rarely meets the one it replaces; some seed is without any meeting.
    labels = torch.cat([torch.full((10,), -1), torch.arange(90)])
    noisy = [replace_labels(labels, share, seed=seed) for seed in range(30)]
    assert all((one[:10] == -1).all() and (one[10:] >= 0).all() for one in noisy)
    changed = [int((one != labels).sum()) for one in noisy]
    assert max(changed) == count
    assert sum(changed) / 30 == pytest.approx(count * 89 / 90, abs=0.6)


def test_noise_grows_out_of_smaller_noise() -> None:
    labels = torch.arange(300) % 50
    less, more = (replace_labels(labels, share, seed=1) for share in (0.3, 0.6))
    touched = less != labels
    assert torch.equal(less[touched], more[touched])
    assert int((more != labels).sum()) > int(touched.sum())


def test_full_noise_forgets_the_labels_and_draws_all_names_alike() -> None:
    # One name on nine tenths of the vectors.
    labels = torch.where(torch.arange(20000) % 10 == 0, 1 + torch.arange(20000) // 10 % 3, 0)
    noisy = replace_labels(labels, 1.0, seed=0)
    assert abs(clustering_quality(labels, noisy)["ari"]) < 0.01
    shares = torch.bincount(noisy).double() / 20000
    assert shares.tolist() == pytest.approx([0.25] * 4, abs=0.015)


def test_noise_leaves_its_input_and_what_has_no_label_alone() -> None:
    labels = torch.arange(20) % 4
    replace_labels(labels, 1.0, seed=0)
    assert torch.equal(labels, torch.arange(20) % 4)
    assert replace_labels(torch.full((4,), -1), 1.0, seed=0).tolist() == [-1] * 4
    assert not torch.equal(replace_labels(labels, 1.0, seed=0), replace_labels(labels, 1.0, seed=1))
    with pytest.raises(InvalidValueError, match=r"share=1\.5"):
        replace_labels(labels, 1.5, seed=0)
