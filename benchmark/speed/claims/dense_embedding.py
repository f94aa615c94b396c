"""A scene embedded in one dense pass over the patches of its pixels, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch

from benchmark.computing import in_threads
from benchmark.speed.claims.base import NOT_MEASURED, Bound, Claim, Row
from benchmark.speed.timing import alternate, ratio
from hsicl_core.encoder import Encoder
from hsicl_core.patches import PatchSource

# Indian Pines, 24 components, patches of 9 x 9, as the entrants have them by default.
_HEIGHT, _WIDTH, _CHANNELS, _PATCH = 145, 145, 24, 9
_BATCH = 4096


class DenseEmbedding(Claim):
    """``Encoder.embed_scene`` against ``Encoder.embed`` of every pixel's patch, both from the scene on the device."""

    title: ClassVar[str] = "Dense embedding"

    def measure(self, device: torch.device) -> Iterator[Row]:
        """See ``Claim``."""
        what = f"scene of {_HEIGHT} x {_WIDTH} x {_CHANNELS}, patch {_PATCH}: patch by patch over one dense pass"
        generator = torch.Generator().manual_seed(0)
        image = torch.randn(_HEIGHT, _WIDTH, _CHANNELS, generator=generator).to(device)
        encoder = Encoder(_CHANNELS, _PATCH).to(device)
        source = PatchSource(image, _PATCH)
        pixels = torch.arange(_HEIGHT * _WIDTH, device=device)

        def patch_by_patch() -> torch.Tensor:
            return torch.cat([encoder.embed(source.gather(some)) for some in pixels.split(_BATCH)])

        difference = float((encoder.embed_scene(image).flatten(0, 1) - patch_by_patch()).abs().max())
        for n_threads in (1, 2) if device.type == "cpu" else (None,):
            with in_threads(n_threads):
                dense, patches = alternate(lambda: encoder.embed_scene(image), patch_by_patch, repeats=9, device=device)
            yield Row(
                what=what, device=device.type, n_threads=n_threads, bound=Bound(least=15), figure=ratio(patches, dense),
                note=f"largest difference {difference:.0e}, bound 1e-4",
            )  # fmt: skip
        if device.type == "cpu":
            yield Row(what=what, device="cuda", bound=Bound(least=15), note=NOT_MEASURED)
