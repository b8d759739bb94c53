"""The vision half: backbone, merge, projection to C, position, transformer encoder; its output is F_enc (Fig. 2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from m3att.model.grid import Grid
from m3att.model.layers import layers_behind, ordered_layers
from m3att.model.norm import Projection
from m3att.model.position import encode_grid
from m3att.model.vision.contract import VisionBackbone
from m3att.model.vision.encoder_layer import EncoderLayer
from m3att.model.vision.fusion import EarlyFusion
from m3att.model.vision.merge import ScaleMerge, choose_grid

# Merged maps have as many channels as the one whose grid they take, but no fewer than C, and no more than these, which
# Darknet-53's and Swin-B's middle maps have.
MERGED_CHANNELS = 512


def batch_norms(part: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The BatchNorm layers of a part."""
    return [layer for layer in part.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]


def freeze_first(backbone: nn.Module, layers: int) -> None:
    """Keep the first layers of a backbone fixed, and what stands before them.

    Args:
        backbone: its weights are changed.
        layers: how many, of `ordered_layers`; a backbone with fewer is fixed as a whole.
    """
    learning = max(0, len(ordered_layers(backbone)) - layers)
    behind = layers_behind(backbone)
    for weight in backbone.parameters():
        if behind[id(weight)] >= learning:
            weight.requires_grad_(False)


class VisionEncoder(nn.Module):
    """Encodes images without any expression, so that one pass serves all expressions of an image.

    With early fusion only the backbone runs once an image, and `fuse` does the rest once an expression.

    Paper: Sec. III, "a transformer encoder with N_enc layers".
    Departs: none; the sine code is added once, to its input.

    Args:
        backbone: any VisionBackbone; its maps, where they are several, are merged into one.
        channels: C.
        grid: F_enc's at the trained input size.
        layers: N_enc, 2 in the paper.
        heads: attention heads.
        feedforward: width of the feed-forward part as a multiple of C.
        dropout: dropout inside the layers.
        freeze: keep the backbone fixed, its BatchNorm in evaluation mode.
        freeze_layers: keep only its first layers fixed: so many, as `layers_behind` counts them.
        freeze_norm: keep only its BatchNorm fixed and in evaluation mode.
        early_fusion: multiply the sentence into the backbone's coarsest map.
        stride: of the grid that the maps are merged to, as `choose_grid` takes it.
        unmerged: how many of the backbone's finest maps are not merged. Only the mask decoder reads them.

    Attributes:
        stride: pixels of the input between two cells of F_enc's grid.
        recompute: compute the layers again in the backward pass; see `recompute_layers`.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(
        self,
        backbone: VisionBackbone,
        channels: int,
        grid: Grid,
        layers: int = 2,
        heads: int = 8,
        feedforward: int = 4,
        dropout: float = 0.0,
        freeze: bool = False,
        early_fusion: bool = False,
        stride: int | None = None,
        freeze_layers: int = 0,
        freeze_norm: bool = False,
        unmerged: int = 0,
    ) -> None:
        super().__init__()
        self.recompute = False
        self.backbone, self.channels, self.grid, self.freeze = backbone, channels, grid, freeze
        self.freeze_part = freeze_layers > 0 or freeze_norm
        # Constants of the backbone, so that a state dict need not hold them.
        self.register_buffer("pixel_mean", torch.tensor(backbone.pixel_mean).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(backbone.pixel_std).view(3, 1, 1), persistent=False)
        self.unmerged = unmerged
        strides, channels_in = backbone.strides[unmerged:], backbone.channels[unmerged:]
        number = choose_grid(strides, stride)
        self.stride, merged_channels = strides[number], channels_in[number]
        self.merge: ScaleMerge | None = None
        if len(channels_in) > 1:
            merged_channels = min(MERGED_CHANNELS, max(merged_channels, channels))
            self.merge = ScaleMerge(channels_in, merged_channels, number)
        self.projection = Projection(merged_channels, channels)
        self.layers = nn.ModuleList(
            EncoderLayer(channels, heads, feedforward * channels, dropout, batch_first=True) for _ in range(layers)
        )
        self.fusion = EarlyFusion(backbone.channels[-1], channels) if early_fusion else None
        if freeze:
            backbone.requires_grad_(False)
        if freeze_layers:
            freeze_first(backbone, freeze_layers)
        if freeze_norm:
            for norm in batch_norms(backbone):
                norm.requires_grad_(False)
        self.keep_frozen()

    def train(self, mode: bool = True) -> VisionEncoder:
        """Set the mode; what is frozen of the backbone stays in evaluation mode."""
        super().train(mode)
        self.keep_frozen()
        return self

    def keep_frozen(self) -> None:
        """Put what is frozen of the backbone into evaluation mode."""
        if self.freeze:
            self.backbone.eval()
        elif self.freeze_part:
            for norm in batch_norms(self.backbone):
                if norm.weight is not None and not norm.weight.requires_grad:
                    norm.eval()

    def forward(self, pixels_BCHW: Tensor) -> tuple[Tensor, Grid, tuple[Tensor, ...]]:
        """Encode images.

        Args:
            pixels_BCHW: RGB in [0, 255], uint8 or float, of any size.

        Returns:
            F_enc (B, P, C), its grid of P cells, and the backbone's maps, finest first.
        """
        grid, maps = self.grid_of(pixels_BCHW), self.backbone_maps(pixels_BCHW)
        return self.finish(maps, grid), grid, maps

    def grid_of(self, pixels_BCHW: Tensor) -> Grid:
        """The cells on which F_enc of these pixels lies."""
        return Grid(pixels_BCHW.shape[2], pixels_BCHW.shape[3], self.stride)

    def backbone_maps(self, pixels_BCHW: Tensor) -> tuple[Tensor, ...]:
        """The backbone's maps of RGB pixels in [0, 255], finest first: (B, C_i, H_i, W_i) each."""
        normal_BCHW = (pixels_BCHW.to(self.pixel_mean.dtype) - self.pixel_mean) / self.pixel_std
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze):
            maps: tuple[Tensor, ...] = self.backbone(normal_BCHW)
        return maps

    def finish(self, maps: Sequence[Tensor], grid: Grid) -> Tensor:
        """The rest of `forward`, of what `backbone_maps` gave.

        Args:
            maps: (B, C_i, H_i, W_i) each, finest first.
            grid: of `grid_of`.

        Returns:
            F_enc (B, P, C).
        """
        features_BCHW = maps[-1] if self.merge is None else self.merge(maps[self.unmerged :])
        vis_BPC = self.projection(features_BCHW.flatten(2).transpose(1, 2))
        vis_BPC = vis_BPC + encode_grid(grid, self.channels, self.grid, vis_BPC.device)
        for layer in self.layers:
            if self.recompute and self.training:
                vis_BPC = checkpoint(layer, vis_BPC, use_reentrant=False)
            else:
                vis_BPC = layer(vis_BPC)
        return vis_BPC

    def fuse(self, maps: Sequence[Tensor], grid: Grid, sentence_NC: Tensor, image_index_N: Tensor) -> Tensor:
        """As `finish`, an expression: with the sentence multiplied into the coarsest map.

        Args:
            maps: what `backbone_maps` gave of B images.
            grid: of `grid_of`.
            sentence_NC: F'_t.
            image_index_N: which image each expression speaks of.

        Returns:
            F_enc (N, P, C) of each expression.

        Raises:
            ValueError: where the encoder was built without early fusion.
        """
        if self.fusion is None:
            raise ValueError("this encoder was built without early fusion")
        finer = [map_BCHW.index_select(0, image_index_N) for map_BCHW in maps[:-1]]
        return self.finish([*finer, self.fusion(maps[-1], sentence_NC, image_index_N)], grid)
