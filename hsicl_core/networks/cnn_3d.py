"""A 3-D network: convolutions over bands and pixels, in turn with strided ones along the bands.

Source: Ben Hamida, Benoit, Lambert and Ben Amar 2018, doi 10.1109/TGRS.2018.2818945, patches of 5, as
nshaud/DeepHyperX implements it: 20 kernels, then 35, and He's weights.
Differs: the paper is not at hand. Patches of 3, for which that code pads, are not taken.
Cost: of a patch of 5 x 5 pixels and b channels, about 22000 * b multiplications.
"""

from __future__ import annotations

from torch import Tensor, nn

from hsicl_core.checks import check_integer
from hsicl_core.networks.base import PatchNetwork, check_channels


class CNN3D(PatchNetwork):
    """Two 3 x 3 x 3 convolutions, each followed by one that halves the bands; then two along the bands alone.

    Args:
        n_channels: bands or components, >= 3.
        patch_size: side in pixels, odd, >= 5.
    """

    def __init__(self, n_channels: int, patch_size: int = 5) -> None:
        super().__init__()
        check_channels("cnn_3d", n_channels, 3)
        check_integer("patch_size", patch_size, minimum=5, odd=True)
        self.layers = nn.Sequential(
            nn.Conv3d(1, 20, 3), nn.ReLU(), _along_bands(20, 20, 3, stride=2),
            nn.Conv3d(20, 35, 3, padding=(1, 0, 0)), nn.ReLU(), _along_bands(35, 35, 3, stride=2),
            _along_bands(35, 35, 3), nn.ReLU(), _along_bands(35, 35, 2, stride=2), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        for layer in self.layers:
            if isinstance(layer, nn.Conv3d):
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        # Valid along the bands at first, then halved three times, rounding as padding by one does.
        bands = (n_channels - 3) // 2 + 1
        bands = (bands - 1) // 2 + 1
        bands = bands // 2 + 1
        self.dim = 35 * bands * (patch_size - 4) ** 2

    def forward(self, patches: Tensor) -> Tensor:
        """Return (n, dim) features. See the base class."""
        found: Tensor = self.layers(patches[:, None].contiguous())
        return found


def _along_bands(n_in: int, n_out: int, length: int, stride: int = 1) -> nn.Conv3d:
    return nn.Conv3d(n_in, n_out, (length, 1, 1), stride=(stride, 1, 1), padding=(1, 0, 0))
