"""What the Python API needs of a network, whichever library runs it. Importing this loads no library of networks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """A network in two halves: images are encoded without words, then segmented by any number of expressions.

    Several threads may call both halves at once. Nothing is remembered between calls.
    """

    @property
    def mask_stride(self) -> float:
        """Pixels of the square input between the centres of two neighbouring mask logits."""

    def encode(self, squares_BHWC: NDArray[np.uint8]) -> list[Any]:
        """The vision half.

        Args:
            squares_BHWC: RGB of B images in the network's square input.

        Returns:
            The features of each image, B in all, as `segment` takes them.
        """

    def segment(
        self, features: Any, word_ids_NL: NDArray[np.int64], word_mask_NL: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """The language half, for N expressions of one image.

        Args:
            features: of the image.
            word_ids_NL: ids of the words.
            word_mask_NL: True = a real word.

        Returns:
            Mask logits over the square input, (N, h, w).
        """
