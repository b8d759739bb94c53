"""The training losses (Eq. 5): mask and language reconstruction, and an optional Dice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Losses:
    """One step's losses, each a scalar; `total` is what is minimised.

    Args:
        mask: L_mask.
        dice: the Dice loss.
        reconstruction: L_rec.
        total: the weighted sum.
        target_spread: deviation of F_proj over the batch, averaged over channels. LFR's target is trained too and can
            collapse to a constant, which makes L_rec small and worthless: then this falls to zero.
    """

    mask: Tensor
    dice: Tensor
    reconstruction: Tensor
    total: Tensor
    target_spread: Tensor


def mask_targets(masks_MHW: Tensor, mask_index_N: Tensor, size: tuple[int, int]) -> Tensor:
    """Ground truth at the logits' size: each cell holds the share of it that the referent covers.

    Departs: the paper does not say; a share keeps what a hard choice a cell would lose of thin and small objects.

    Args:
        masks_MHW: uint8 in [0, 255], one a distinct referent, at the network's input size.
        mask_index_N: for each expression its row.
        size: (H, W) of the logits.

    Returns:
        (N, H, W) float32 in [0, 1].
    """
    shares_M1HW = F.adaptive_avg_pool2d(masks_MHW.unsqueeze(1).float() / 255, size)
    return shares_M1HW.squeeze(1).index_select(0, mask_index_N)


def mask_loss(mask_logits_NHW: Tensor, targets_NHW: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
    """Binary cross-entropy, averaged over expressions; over a mask's pixels their mean or, as VLT has it, their sum."""
    loss = F.binary_cross_entropy_with_logits(mask_logits_NHW, targets_NHW)
    return loss * targets_NHW[0].numel() if reduction == "sum" else loss


def dice_loss(mask_logits_NHW: Tensor, targets_NHW: Tensor) -> Tensor:
    """One minus the soft Dice of each mask, averaged over expressions; it weighs small objects as large ones."""
    probability_NHW = mask_logits_NHW.sigmoid()
    overlap_N = (probability_NHW * targets_NHW).sum(dim=(1, 2))
    total_N = (probability_NHW + targets_NHW).sum(dim=(1, 2))
    return (1 - (2 * overlap_N + 1) / (total_N + 1)).mean()


def total_loss(
    mask_logits_NHW: Tensor,
    reconstructed_NC: Tensor | None,
    projected_NC: Tensor | None,
    targets_NHW: Tensor,
    mask_weight: float = 1.0,
    reconstruction_weight: float = 0.1,
    dice_weight: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
) -> Losses:
    """L = w_mask L_mask + w_rec L_rec (Eq. 5), plus the Dice where its weight is not zero.

    Args:
        mask_logits_NHW: the network's logits.
        reconstructed_NC: F_rec; None for a network without LFR, whose reconstruction loss is zero.
        projected_NC: F_proj.
        targets_NHW: of `mask_targets`.
        mask_weight: w_mask.
        reconstruction_weight: w_rec.
        dice_weight: weight of the Dice loss.
        reduction: of `mask_loss`.

    Returns:
        All parts, unweighted, and the weighted total.
    """
    logits_NHW = mask_logits_NHW.float()
    mask = mask_loss(logits_NHW, targets_NHW, reduction)
    zero = torch.zeros((), device=mask.device)
    dice = dice_loss(logits_NHW, targets_NHW) if dice_weight else zero
    reconstruction = target_spread = zero
    if reconstructed_NC is not None and projected_NC is not None:
        reconstruction = F.mse_loss(reconstructed_NC.float(), projected_NC.float())
        target_spread = projected_NC.detach().float().std(dim=0, correction=0).mean()
    total = mask_weight * mask + dice_weight * dice + reconstruction_weight * reconstruction
    return Losses(mask, dice, reconstruction, total, target_spread)
