"""The vision half: backbone, projection to C, position, transformer encoder; its output is F_enc (Fig. 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from m3att.model.norm import Projection
from m3att.model.position import encode_grid
from m3att.model.vision.contract import VisionBackbone


class VisionEncoder(nn.Module):
    """Encodes images with no knowledge of any expression, so that one pass serves all expressions of an image.

    Paper: Sec. III, "a transformer encoder with N_enc layers".
    Departs: none; the sine code is added once, to its input.

    Args:
        backbone: any VisionBackbone.
        channels: C.
        grid: (H, W) at the trained input size.
        layers: N_enc, 2 in the paper.
        heads: attention heads.
        feedforward: width of the feed-forward part as a multiple of C.
        dropout: dropout inside the layers.
        freeze: keep the backbone fixed, its BatchNorm in evaluation mode.
    """

    def __init__(
        self,
        backbone: VisionBackbone,
        channels: int,
        grid: tuple[int, int],
        layers: int = 2,
        heads: int = 8,
        feedforward: int = 4,
        dropout: float = 0.0,
        freeze: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.channels, self.grid, self.freeze = backbone, channels, grid, freeze
        self.projection = Projection(backbone.channels, channels)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(channels, heads, feedforward * channels, dropout, batch_first=True)
            for _ in range(layers)
        )
        if freeze:
            backbone.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> VisionEncoder:
        """Set the mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.freeze:
            self.backbone.eval()
        return self

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Encode images.

        Args:
            pixels_BCHW: normalised pixels of any size.

        Returns:
            F_enc (B, P, C) and its grid (H, W) with H * W = P.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            features_BCHW = self.backbone(pixels_BCHW)
        grid = (features_BCHW.shape[2], features_BCHW.shape[3])
        vis_BPC = self.projection(features_BCHW.flatten(2).transpose(1, 2))
        vis_BPC = vis_BPC + encode_grid(*grid, self.channels, self.grid, vis_BPC.device)
        for layer in self.layers:
            vis_BPC = layer(vis_BPC)
        return vis_BPC, grid
