"""The network as PyTorch runs it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from m3att.data.batch import to_pixels
from m3att.errors import ConfigError
from m3att.model.grid import Grid
from m3att.model.lowered import lowered
from m3att.model.network import BackboneMaps, EncodedImages, M3AttNet

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TorchBackend:
    """Runs an M3AttNet. See `m3att.backends.Backend`.

    Args:
        network: in evaluation mode, on the device.
        device: of the network.
        dtype: `float32`, or `bfloat16` or `float16` for autocast, as in training. The network stays as it is; a copy
            of it holds rounded weights, which takes up to half as much memory again.

    Raises:
        ConfigError: if there is no such type.
    """

    def __init__(self, network: M3AttNet, device: torch.device, dtype: str = "float32") -> None:
        if dtype not in DTYPES:
            raise ConfigError(f"dtype {dtype!r}: give {', '.join(DTYPES)}")
        self.device, self.dtype = device, DTYPES[dtype]
        self.network = network if dtype == "float32" else lowered(network, self.dtype)

    @property
    def mask_stride(self) -> float:
        """See `m3att.backends.Backend`."""
        return self.network.mask_stride

    def encode(self, squares_BHWC: NDArray[np.uint8]) -> list[EncodedImages | BackboneMaps]:
        """See `m3att.backends.Backend`."""
        pixels_BCHW = torch.stack([to_pixels(square_HWC) for square_HWC in squares_BHWC]).to(self.device)
        with torch.inference_mode(), self._autocast():
            return split_images(self.network.encode(pixels_BCHW), len(squares_BHWC))

    def segment(
        self,
        features: EncodedImages | BackboneMaps,
        word_ids_NL: NDArray[np.int64],
        word_mask_NL: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        """See `m3att.backends.Backend`."""
        index_N = torch.zeros(len(word_ids_NL), dtype=torch.int64, device=self.device)
        ids_NL, mask_NL = (torch.from_numpy(words).to(self.device) for words in (word_ids_NL, word_mask_NL))
        with torch.inference_mode(), self._autocast():
            output = self.network.segment(features, index_N, ids_NL, mask_NL)
            logits_NHW: NDArray[np.float32] = output.mask_logits_NHW.float().cpu().numpy()
            return logits_NHW

    def attention(
        self,
        features: EncodedImages | BackboneMaps,
        word_ids_NL: NDArray[np.int64],
        word_mask_NL: NDArray[np.bool_],
    ) -> tuple[list[NDArray[np.float32]], Grid]:
        """A_mut of each decoder layer for N expressions of one image. See `segment` for the arguments.

        Returns:
            One (N, K, L, P) a layer, padding at minus infinity, and the grid of its P cells. None for VAL alone.
        """
        index_N = torch.zeros(len(word_ids_NL), dtype=torch.int64, device=self.device)
        ids_NL, mask_NL = (torch.from_numpy(words).to(self.device) for words in (word_ids_NL, word_mask_NL))
        with torch.inference_mode(), self._autocast():
            output = self.network.segment(features, index_N, ids_NL, mask_NL, reconstruct=True)
            assert output.attending_NL is not None
            padding_N1L1 = ~output.attending_NL[:, None, :, None]
            maps = [layer.float().masked_fill(padding_N1L1, float("-inf")) for layer in output.attention_NKLP]
            return [layer.cpu().numpy() for layer in maps], output.grid

    def _autocast(self) -> torch.autocast:
        """Of this thread only. Without a cache of cast weights, which the two halves would not share anyway."""
        low = self.dtype != torch.float32
        return torch.autocast(self.device.type, self.dtype if low else None, enabled=low, cache_enabled=False)


def split_images(encoded: EncodedImages | BackboneMaps, count: int) -> list[EncodedImages | BackboneMaps]:
    """Features of a batch, image by image. They are copies, so that one image does not keep all others in memory.

    Args:
        encoded: of the batch.
        count: images in it.
    """
    if count == 1:
        return [encoded]

    def part(map_BCHW: Tensor, at: int) -> Tensor:
        return map_BCHW[at : at + 1].clone()

    divided: list[EncodedImages | BackboneMaps] = []
    for at in range(count):
        skips = tuple(part(read_BCHW, at) for read_BCHW in encoded.skips)
        if isinstance(encoded, EncodedImages):
            divided.append(EncodedImages(part(encoded.vis_BPC, at), encoded.grid, skips))
        else:
            maps = tuple(part(map_BCHW, at) for map_BCHW in encoded.maps)
            divided.append(BackboneMaps(maps, encoded.grid, skips))
    return divided
