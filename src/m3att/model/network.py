"""M3AttNet: the whole network of Fig. 2, composed of ready parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from m3att.model.grouping import Grouping
from m3att.model.language.contract import LanguageEncoder
from m3att.model.lfr import LFR
from m3att.model.m3dec import M3Dec
from m3att.model.mask_decoder import MaskDecoder
from m3att.model.position import encode_positions
from m3att.model.vision.encoder import VisionEncoder

# ImageNet's channel means and deviations, which pretrained backbones expect; RGB in [0, 255].
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_DEVIATION = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class EncodedImages:
    """F_enc of B images, to be used for any number of expressions.

    Args:
        vis_BPC: F_enc.
        grid: (H, W), H * W = P.
    """

    vis_BPC: Tensor
    grid: tuple[int, int]


@dataclass(frozen=True)
class ModelOutput:
    """What the network says of N expressions.

    Args:
        mask_logits_NHW: at the network's own mask stride.
        reconstructed_NC: F_rec of LFR, where it was asked for.
        projected_NC: F_proj of LFR, where it was asked for.
        category_logits_BPK: what the category head reads off F_enc, where it was asked for; class 0 is nothing.
    """

    mask_logits_NHW: Tensor
    reconstructed_NC: Tensor | None = None
    projected_NC: Tensor | None = None
    category_logits_BPK: Tensor | None = None


class M3AttNet(nn.Module):
    """Referring image segmentation: images once, expressions as many as there are.

    Paper: Fig. 2. Departs: see the parts.

    Args:
        vision: makes F_enc of pixels.
        language: makes F_t and F'_t of word ids.
        decoder: M3Dec with its IMI blocks.
        mask_decoder: makes mask logits of F_dec and F_enc.
        lfr: LFR, or None for a network without it; its weights are not needed for inference.
        category_head: reads each cell's category off F_enc, for the category loss; not needed for inference either.
    """

    pixel_mean: Tensor
    pixel_deviation: Tensor

    def __init__(
        self,
        vision: VisionEncoder,
        language: LanguageEncoder,
        decoder: M3Dec,
        mask_decoder: MaskDecoder,
        lfr: LFR | None = None,
        category_head: nn.Linear | None = None,
    ) -> None:
        super().__init__()
        self.vision, self.language, self.decoder, self.mask_decoder, self.lfr = (
            vision, language, decoder, mask_decoder, lfr
        )  # fmt: skip
        self.category_head = category_head
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("pixel_deviation", torch.tensor(PIXEL_DEVIATION).view(3, 1, 1), persistent=False)

    def encode(self, pixels_BCHW: Tensor) -> EncodedImages:
        """The vision half, once an image.

        Args:
            pixels_BCHW: RGB in [0, 255], uint8 or float.

        Returns:
            F_enc and its grid.
        """
        vis_BPC, grid = self.vision((pixels_BCHW.float() - self.pixel_mean) / self.pixel_deviation)
        return EncodedImages(vis_BPC, grid)

    def segment(
        self,
        images: EncodedImages,
        image_index_N: Tensor,
        word_ids_NL: Tensor,
        word_mask_NL: Tensor,
        reconstruct: bool = False,
    ) -> ModelOutput:
        """The language half, once an expression.

        Args:
            images: what `encode` gave.
            image_index_N: which image each expression speaks of.
            word_ids_NL: ids of the words.
            word_mask_NL: True = a real word.
            reconstruct: run LFR too, for its loss.

        Returns:
            Mask logits, and both sides of LFR where asked for and present.
        """
        grouping = Grouping.of(image_index_N, len(images.vis_BPC))
        words_NLC, sentence_NC = self.language(word_ids_NL, word_mask_NL)
        code_LC = encode_positions(words_NLC.shape[1], words_NLC.shape[2], words_NLC.device)
        decoded_NLC = self.decoder(words_NLC + code_LC, word_mask_NL, images.vis_BPC, grouping, images.grid)
        mask_logits_NHW = self.mask_decoder(decoded_NLC, word_mask_NL, images.vis_BPC, grouping, images.grid)
        if self.lfr is None or not reconstruct:
            return ModelOutput(mask_logits_NHW)
        return ModelOutput(mask_logits_NHW, *self.lfr(words_NLC, sentence_NC, decoded_NLC, word_mask_NL))

    def forward(
        self,
        pixels_BCHW: Tensor,
        image_index_N: Tensor,
        word_ids_NL: Tensor,
        word_mask_NL: Tensor,
        reconstruct: bool = False,
    ) -> ModelOutput:
        """Both halves; see `encode` and `segment`. What only training needs comes with `reconstruct`."""
        images = self.encode(pixels_BCHW)
        output = self.segment(images, image_index_N, word_ids_NL, word_mask_NL, reconstruct)
        if self.category_head is None or not reconstruct:
            return output
        return replace(output, category_logits_BPK=self.category_head(images.vis_BPC))
