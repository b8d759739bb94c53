"""The vision half: backbone, projection to C, position, transformer encoder; its output is F_enc (Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from m3att.model.norm import Projection
from m3att.model.position import encode_grid
from m3att.model.vision.contract import VisionBackbone
from m3att.model.vision.fusion import EarlyFusion


class VisionEncoder(nn.Module):
    """Encodes images with no knowledge of any expression, so that one pass serves all expressions of an image.

    With early fusion only the backbone's trunk does so, and `fuse` does the rest an expression.

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
        freeze: keep the backbone's trunk fixed, its BatchNorm in evaluation mode.
        early_fusion: multiply the sentence into the trunk's features.
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
        early_fusion: bool = False,
    ) -> None:
        super().__init__()
        self.backbone, self.channels, self.grid, self.freeze = backbone, channels, grid, freeze
        self.projection = Projection(backbone.channels, channels)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(channels, heads, feedforward * channels, dropout, batch_first=True)
            for _ in range(layers)
        )
        self.fusion = EarlyFusion(backbone.coarse_channels or backbone.channels, channels) if early_fusion else None
        if freeze:
            self.trunk.requires_grad_(False).eval()

    @property
    def trunk(self) -> nn.Module:
        """The part of the backbone that is pretrained, and may be frozen: all of it where it merges no scales."""
        trunk: nn.Module = getattr(self.backbone, "trunk", self.backbone)
        return trunk

    def train(self, mode: bool = True) -> VisionEncoder:
        """Set the mode; a frozen trunk stays in evaluation mode."""
        super().train(mode)
        if self.freeze:
            self.trunk.eval()
        return self

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Encode images.

        Args:
            pixels_BCHW: normalised pixels of any size.

        Returns:
            F_enc (B, P, C) and its grid (H, W) with H * W = P.
        """
        return self.finish(self.trunk_features(pixels_BCHW))

    def trunk_features(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """What the backbone gives before it merges its scales, finest first: (B, C_i, H_i, W_i) each."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            return self.backbone.trunk_features(pixels_BCHW)

    def finish(self, scales: Sequence[Tensor]) -> tuple[Tensor, tuple[int, int]]:
        """F_enc (B, P, C) and its grid (H, W), of what `trunk_features` gave."""
        features_BCHW = self.backbone.merge_features(scales)
        grid = (features_BCHW.shape[2], features_BCHW.shape[3])
        vis_BPC = self.projection(features_BCHW.flatten(2).transpose(1, 2))
        vis_BPC = vis_BPC + encode_grid(*grid, self.channels, self.grid, vis_BPC.device)
        for layer in self.layers:
            vis_BPC = layer(vis_BPC)
        return vis_BPC, grid

    def fuse(
        self, scales: Sequence[Tensor], sentence_NC: Tensor, image_index_N: Tensor
    ) -> tuple[Tensor, tuple[int, int]]:
        """As `finish`, an expression: with the sentence multiplied into the coarsest scale.

        Args:
            scales: what `trunk_features` gave of B images.
            sentence_NC: F'_t.
            image_index_N: which image each expression speaks of.

        Returns:
            F_enc (N, P, C) of each expression, and its grid.

        Raises:
            ValueError: where the encoder was built without early fusion.
        """
        if self.fusion is None:
            raise ValueError("this encoder was built without early fusion")
        finer = [scale_BCHW.index_select(0, image_index_N) for scale_BCHW in scales[:-1]]
        return self.finish([*finer, self.fusion(scales[-1], sentence_NC, image_index_N)])
