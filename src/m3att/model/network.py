"""M3AttNet: the whole network of Fig. 2, composed of parts that are passed in."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3att.model.generic import VisionQueryDec
from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.language.contract import LanguageEncoder
from m3att.model.lfr import LFR
from m3att.model.m3dec import M3Dec
from m3att.model.mask_decoder import MaskDecoder
from m3att.model.position import encode_positions
from m3att.model.skip import ImageSkips
from m3att.model.vision.encoder import VisionEncoder


@dataclass(frozen=True)
class EncodedImages:
    """F_enc of B images, for use with any number of expressions.

    Args:
        vis_BPC: F_enc.
        grid: its P cells.
        skips: what the skip connections of the mask decoder read, (B, width, H, W) each.
    """

    vis_BPC: Tensor
    grid: Grid
    skips: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class BackboneMaps:
    """The maps of B images with early fusion, which computes F_enc separately for each expression.

    Args:
        maps: the maps of the backbone before the merge, each (B, channels, H, W), finest first.
        grid: grid of the F_enc that is made of them.
        skips: what the skip connections of the mask decoder read, (B, width, H, W) each.
    """

    maps: tuple[Tensor, ...]
    grid: Grid
    skips: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class ModelOutput:
    """The output of the network for N expressions.

    Args:
        mask_logits_NHW: mask logits, one for each cell of ``mask_stride`` pixels. The first cell begins at the upper
            left corner of the input.
        mask_stride: pixels of the input between the centres of two neighbouring logits.
        grid: grid of F_enc. The mask decoder divides each of its cells into equal parts.
        reconstructed_NC: F_rec of LFR, if `reconstruct` was set.
        projected_NC: F_proj of LFR, if `reconstruct` was set.
        category_logits_BPY: output of the category head, if `reconstruct` was set; class 0 is background.
        attention_NKLP: A_mut of each decoder layer before any softmax, if `reconstruct` was set; empty where no
            word attends to positions.
        attending_NL: which of its words count.
    """

    mask_logits_NHW: Tensor
    mask_stride: float
    grid: Grid
    reconstructed_NC: Tensor | None = None
    projected_NC: Tensor | None = None
    category_logits_BPY: Tensor | None = None
    attention_NKLP: tuple[Tensor, ...] = ()
    attending_NL: Tensor | None = None


class M3AttNet(nn.Module):
    """Referring image segmentation: encodes each image once, for any number of expressions.

    Paper: Fig. 2. Departs: see the parts.

    Args:
        vision: computes F_enc from pixels.
        language: computes F_t and F'_t from word ids.
        decoder: M3Dec with its IMI blocks, or the stack whose positions ask the words.
        mask_decoder: computes mask logits from F_dec and F_enc.
        lfr: LFR, or None for a network without it. Inference does not need its weights.
        category_head: tells the category of each cell from F_enc, for the category loss. Inference does not need it.
        interaction_code: the first IMI block reads F_t with its positional code. Off: F_t alone.
        filled_words: padding counts as words, as in VLT, and every expression is filled up to this number of words.
            None: padding is masked everywhere.
    """

    def __init__(
        self,
        vision: VisionEncoder,
        language: LanguageEncoder,
        decoder: M3Dec | VisionQueryDec,
        mask_decoder: MaskDecoder,
        lfr: LFR | None = None,
        category_head: nn.Linear | None = None,
        filled_words: int | None = None,
        interaction_code: bool = True,
    ) -> None:
        super().__init__()
        self.vision, self.language, self.decoder, self.mask_decoder, self.lfr = (
            vision, language, decoder, mask_decoder, lfr
        )  # fmt: skip
        self.keeps_fixed_parts = False
        self.category_head, self.filled_words, self.interaction_code = category_head, filled_words, interaction_code

    def keep_fixed_parts(self) -> None:
        """Keep each part that has weights, but none that learns, in evaluation mode from now on."""
        self.keeps_fixed_parts = True
        self.train(self.training)

    def train(self, mode: bool = True) -> M3AttNet:
        """Set the mode; fixed parts stay in evaluation mode."""
        super().train(mode)
        for part in self.modules() if self.keeps_fixed_parts else ():
            weights = list(part.parameters())
            if weights and not any(weight.requires_grad for weight in weights):
                part.eval()
        return self

    @property
    def mask_stride(self) -> float:
        """Pixels of the input between the centres of two neighbouring mask logits."""
        return self.vision.stride / 2**self.mask_decoder.upsamplings

    def encode(self, pixels_BCHW: Tensor) -> EncodedImages | BackboneMaps:
        """The vision half, once an image.

        Args:
            pixels_BCHW: RGB in [0, 255], uint8 or float.

        Returns:
            F_enc and its grid; with early fusion, the maps of the backbone.
        """
        if self.vision.fusion is not None:
            maps, grid = self.vision.backbone_maps(pixels_BCHW), self.vision.grid_of(pixels_BCHW)
            return BackboneMaps(maps, grid, self.mask_decoder.read_skips(maps, grid))
        vis_BPC, grid, maps = self.vision(pixels_BCHW)
        return EncodedImages(vis_BPC, grid, self.mask_decoder.read_skips(maps, grid))

    def segment(
        self,
        images: EncodedImages | BackboneMaps,
        image_index_N: Tensor,
        word_ids_NL: Tensor,
        word_mask_NL: Tensor,
        reconstruct: bool = False,
    ) -> ModelOutput:
        """The language half, once an expression.

        Args:
            images: the result of `encode`.
            image_index_N: number of the image of each expression.
            word_ids_NL: ids of the words.
            word_mask_NL: True = a real word.
            reconstruct: also compute what only training needs: LFR, the category head and A_mut.

        Returns:
            Mask logits; with `reconstruct` also the parts that only training needs.
        """
        words_NLC, sentence_NC = self.language(word_ids_NL, word_mask_NL)
        if self.filled_words is not None:
            # To a fixed length: with that of the longest expression, a mask would depend on the rest of its batch.
            words_NLC = F.pad(words_NLC, (0, 0, 0, self.filled_words - words_NLC.shape[1]))
            word_mask_NL = torch.ones_like(words_NLC[:, :, 0], dtype=torch.bool)
        owner_N = image_index_N  # row of F_enc for each expression
        if isinstance(images, BackboneMaps):
            vis_NPC = self.vision.fuse(images.maps, images.grid, sentence_NC, image_index_N)
            encoded = EncodedImages(vis_NPC, images.grid, images.skips)
            owner_N = torch.arange(len(image_index_N), device=image_index_N.device)
        else:
            encoded = images
        grouping = Grouping.of(owner_N, len(encoded.vis_BPC))
        # 0 .. L - 1, counted along the words: after an `arange`, a trace for ONNX would take L for fixed.
        places_L = torch.ones_like(words_NLC[0, :, 0], dtype=torch.int64).cumsum(0) - 1
        code_LC = encode_positions(places_L, words_NLC.shape[2])
        attention_maps: list[Tensor] | None = [] if reconstruct else None
        coded_NLC = words_NLC + code_LC
        decoded_NLC = self.decoder(
            coded_NLC, word_mask_NL, encoded.vis_BPC, grouping, encoded.grid, attention_maps,
            coded_NLC if self.interaction_code else words_NLC,
        )  # fmt: skip
        decoded_mask = word_mask_NL
        if self.decoder.by_position:
            decoded_mask = torch.ones_like(decoded_NLC[:, :, 0], dtype=torch.bool)
        skips = ImageSkips(encoded.skips, image_index_N) if encoded.skips else None
        mask_logits_NHW = self.mask_decoder(decoded_NLC, decoded_mask, encoded.vis_BPC, grouping, encoded.grid, skips)
        output = ModelOutput(mask_logits_NHW, self.mask_stride, encoded.grid)
        if attention_maps is None:
            return output
        output = replace(output, attention_NKLP=tuple(attention_maps), attending_NL=word_mask_NL)
        if self.category_head is not None:
            vis_BPC = encoded.vis_BPC
            if isinstance(images, BackboneMaps):
                vis_BPC = mean_of_each_image(vis_BPC, image_index_N, len(images.maps[0]))
            output = replace(output, category_logits_BPY=self.category_head(vis_BPC))
        if self.lfr is not None:
            reconstructed_NC, projected_NC = self.lfr(words_NLC, sentence_NC, decoded_NLC, word_mask_NL, decoded_mask)
            output = replace(output, reconstructed_NC=reconstructed_NC, projected_NC=projected_NC)
        return output

    def forward(
        self,
        pixels_BCHW: Tensor,
        image_index_N: Tensor,
        word_ids_NL: Tensor,
        word_mask_NL: Tensor,
        reconstruct: bool = False,
    ) -> ModelOutput:
        """Both halves. See `encode` and `segment`."""
        return self.segment(self.encode(pixels_BCHW), image_index_N, word_ids_NL, word_mask_NL, reconstruct)


def mean_of_each_image(vis_NPC: Tensor, image_index_N: Tensor, images: int) -> Tensor:
    """With early fusion: the mean of F_enc over the expressions of each image. Returns (B, P, C).

    Args:
        vis_NPC: F_enc of each expression.
        image_index_N: number of the image of each expression.
        images: B.
    """
    total_BPC = vis_NPC.new_zeros((images, *vis_NPC.shape[1:])).index_add(0, image_index_N, vis_NPC)
    counts_B = torch.bincount(image_index_N, minlength=images).clamp(min=1)
    return total_BPC / counts_B[:, None, None]
