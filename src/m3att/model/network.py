"""M3AttNet: the whole network of Fig. 2, composed of ready parts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from m3att.model.grouping import Grouping
from m3att.model.language.contract import LanguageEncoder
from m3att.model.lfr import LFR
from m3att.model.m3dec import M3Dec
from m3att.model.mask_decoder import MaskDecoder
from m3att.model.position import encode_positions
from m3att.model.vision.encoder import VisionEncoder


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
class BackboneMaps:
    """What early fusion keeps of B images in place of F_enc, which then is made anew for each expression.

    Args:
        maps: the backbone's maps before they are merged, each (B, channels, H, W), finest first.
    """

    maps: tuple[Tensor, ...]


@dataclass(frozen=True)
class ModelOutput:
    """What the network says of N expressions.

    Args:
        mask_logits_NHW: at the network's own mask stride.
        reconstructed_NC: F_rec of LFR, where it was asked for.
        projected_NC: F_proj of LFR, where it was asked for.
        category_logits_BPK: what the category head reads off F_enc, where it was asked for; class 0 is nothing.
        attention_NKLP: each decoder layer's A_mut before any softmax, where training asked; none for VAL alone.
        attending_NL: which of its words count.
    """

    mask_logits_NHW: Tensor
    reconstructed_NC: Tensor | None = None
    projected_NC: Tensor | None = None
    category_logits_BPK: Tensor | None = None
    attention_NKLP: tuple[Tensor, ...] = ()
    attending_NL: Tensor | None = None


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
        filled_words: treat padding as words, as VLT does, with every expression filled up to this number of them;
            None: padding takes part in nothing.
    """

    def __init__(
        self,
        vision: VisionEncoder,
        language: LanguageEncoder,
        decoder: M3Dec,
        mask_decoder: MaskDecoder,
        lfr: LFR | None = None,
        category_head: nn.Linear | None = None,
        filled_words: int | None = None,
    ) -> None:
        super().__init__()
        self.vision, self.language, self.decoder, self.mask_decoder, self.lfr = (
            vision, language, decoder, mask_decoder, lfr
        )  # fmt: skip
        self.category_head, self.filled_words = category_head, filled_words

    def encode(self, pixels_BCHW: Tensor) -> EncodedImages | BackboneMaps:
        """The vision half, once an image.

        Args:
            pixels_BCHW: RGB in [0, 255], uint8 or float.

        Returns:
            F_enc and its grid; with early fusion, what can be had of an image before its expression is known.
        """
        if self.vision.fusion is not None:
            return BackboneMaps(self.vision.backbone_maps(pixels_BCHW))
        return EncodedImages(*self.vision(pixels_BCHW))

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
            images: what `encode` gave.
            image_index_N: which image each expression speaks of.
            word_ids_NL: ids of the words.
            word_mask_NL: True = a real word.
            reconstruct: run what only training needs too: LFR and the category head; hand out A_mut.

        Returns:
            Mask logits, and both sides of LFR and the categories where asked for and present.
        """
        words_NLC, sentence_NC = self.language(word_ids_NL, word_mask_NL)
        if self.filled_words is not None:
            # To one length, not to the batch's longest: a mask would otherwise hang on the company of its expression.
            words_NLC = F.pad(words_NLC, (0, 0, 0, self.filled_words - words_NLC.shape[1]))
            word_mask_NL = torch.ones_like(words_NLC[:, :, 0], dtype=torch.bool)
        owner_N = image_index_N  # row of F_enc that each expression reads
        if isinstance(images, BackboneMaps):
            encoded = EncodedImages(*self.vision.fuse(images.maps, sentence_NC, image_index_N))
            owner_N = torch.arange(len(image_index_N), device=image_index_N.device)
        else:
            encoded = images
        grouping = Grouping.of(owner_N, len(encoded.vis_BPC))
        code_LC = encode_positions(words_NLC.shape[1], words_NLC.shape[2], words_NLC.device)
        attention_maps: list[Tensor] | None = [] if reconstruct else None
        decoded_NLC = self.decoder(
            words_NLC + code_LC, word_mask_NL, encoded.vis_BPC, grouping, encoded.grid, attention_maps
        )
        output = ModelOutput(self.mask_decoder(decoded_NLC, word_mask_NL, encoded.vis_BPC, grouping, encoded.grid))
        if attention_maps is None:
            return output
        output = replace(output, attention_NKLP=tuple(attention_maps), attending_NL=word_mask_NL)
        if self.category_head is not None:
            vis_BPC = encoded.vis_BPC
            if isinstance(images, BackboneMaps):
                vis_BPC = mean_of_each_image(vis_BPC, image_index_N, len(images.maps[0]))
            output = replace(output, category_logits_BPK=self.category_head(vis_BPC))
        if self.lfr is not None:
            reconstructed_NC, projected_NC = self.lfr(words_NLC, sentence_NC, decoded_NLC, word_mask_NL)
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
    """The mean F_enc of each image's expressions, where early fusion gives each its own. Returns (B, P, C).

    Args:
        vis_NPC: F_enc of each expression.
        image_index_N: number of the image of each expression.
        images: B.
    """
    total_BPC = vis_NPC.new_zeros((images, *vis_NPC.shape[1:])).index_add(0, image_index_N, vis_NPC)
    counts_B = torch.bincount(image_index_N, minlength=images).clamp(min=1)
    return total_BPC / counts_B[:, None, None]
