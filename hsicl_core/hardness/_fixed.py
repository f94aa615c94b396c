"""What the measures share that look at fixed vectors of the pixels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from hsicl_core.encoder import Encoder
from hsicl_core.errors import InvalidValueError
from hsicl_core.hardness.base import Hardness


class FixedHardness(Hardness):
    """The vector of an embedding's pixel is its key, the same for both views and at every step."""

    _vectors: Tensor

    def begin(self, encoder: Encoder, head: nn.Module, vectors: Tensor | None) -> None:
        """Keep ``vectors``.

        Raises:
            InvalidValueError: ``vectors`` is None.
        """
        if vectors is None:
            raise InvalidValueError(
                f"{type(self).__name__} compares {self.needs_vectors} of the pixels, got vectors=None: "
                "pass them to begin"
            )
        self._vectors = vectors

    def keys(self, z: Tensor, views: Tensor, pixels: Tensor) -> Tensor:
        """Return the directions of the pixels' vectors."""
        # Of these pixels only: there may be more vectors than memory holds twice.
        return F.normalize(self._vectors[pixels].float(), dim=1)
