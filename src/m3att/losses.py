"""The training losses: those of Eq. 5 (mask and language reconstruction) and optional ones of ours.

Each loss is a mean over what it counts: expressions or cells. If a batch is divided, over processes or into
micro-batches, each part divides by the count of the whole batch. The losses of the parts then add up to the loss of
the whole, and so do their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from m3att.targets import Counts, covered, ranked


@dataclass(frozen=True)
class Losses:
    """The losses of one step, each a scalar. Training minimises `total`.

    Args:
        mask: L_mask, of the expressions whose referent has an outline.
        dice: the Dice loss, of the same ones.
        box: the box loss, of the expressions whose referent has only a box.
        reconstruction: L_rec.
        category: the category loss.
        attention: the attention loss.
        ranking: the ranking loss.
        total: the weighted sum.
        target_spread: standard deviation of F_proj over the batch, averaged over channels. The target of LFR is trained
            too and can collapse to a constant. Then L_rec is small but useless, and this value goes to zero.
    """

    mask: Tensor
    dice: Tensor
    box: Tensor
    reconstruction: Tensor
    category: Tensor
    attention: Tensor
    ranking: Tensor
    total: Tensor
    target_spread: Tensor


def mean_over(loss_N: Tensor, counted_N: Tensor | None = None, count: Tensor | None = None) -> Tensor:
    """The mean of a loss over the expressions that count; zero where none does.

    Args:
        loss_N: the loss of each expression.
        counted_N: True = counts. None: all do.
        count: how many count in the whole batch, if these are a part of it.

    Returns:
        A scalar.
    """
    if counted_N is None:
        return loss_N.mean() if count is None else loss_N.sum() / count.clamp(min=1)
    return loss_N.masked_fill(~counted_N, 0).sum() / (counted_N.sum() if count is None else count).clamp(min=1)


def mask_loss(
    mask_logits_NHW: Tensor,
    targets_NHW: Tensor,
    reduction: Literal["mean", "sum"] = "mean",
    counted_N: Tensor | None = None,
    focal_gamma: float = 0.0,
    count: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy or the focal loss, averaged over expressions.

    The focal loss (Lin et al., ICCV 2017) multiplies the cross-entropy of a pixel by (1 - p_t) to the power gamma. p_t
    is the probability of the pixel's class, so 1 - p_t is the error. Targets between 0 and 1 have the absolute error in
    its place, as in the quality focal loss (Li et al., NeurIPS 2020): it is the same at 0 and 1, and smallest where the
    probability is the target. The balance alpha of Lin et al. is left out: the Dice loss weighs small objects.

    Paper: L_mask of Eq. 5. Departs: the paper does not say whether the pixels of a mask are summed or averaged, and has
    no focal loss.

    Args:
        mask_logits_NHW: the network's masks.
        targets_NHW: in [0, 1], as `mask_targets` gives them.
        reduction: over the pixels of a mask: their mean, or their sum as in VLT.
        counted_N: see `mean_over`.
        focal_gamma: the power of the focal loss. 0: binary cross-entropy.
        count: see `mean_over`.

    Returns:
        A scalar.
    """
    if counted_N is None and count is None and focal_gamma == 0:
        loss = F.binary_cross_entropy_with_logits(mask_logits_NHW, targets_NHW)
    else:
        loss_NHW = F.binary_cross_entropy_with_logits(mask_logits_NHW, targets_NHW, reduction="none")
        if focal_gamma:
            error_NHW = (mask_logits_NHW.sigmoid() - targets_NHW).abs()
            # A power below 1 has an infinite slope at 0, where a probability may come to lie in float32.
            loss_NHW = loss_NHW * error_NHW.clamp(min=1e-6) ** focal_gamma
        loss = mean_over(loss_NHW.mean(dim=(1, 2)), counted_N, count)
    return loss * targets_NHW[0].numel() if reduction == "sum" else loss


def dice_loss(
    mask_logits_NHW: Tensor, targets_NHW: Tensor, counted_N: Tensor | None = None, count: Tensor | None = None
) -> Tensor:
    """One minus the soft Dice of each mask, averaged over expressions. Small and large objects weigh the same.

    Departs: the paper has no such loss.

    Args:
        mask_logits_NHW: the network's masks.
        targets_NHW: in [0, 1], as `mask_targets` gives them.
        counted_N: see `mean_over`.
        count: see `mean_over`.

    Returns:
        A scalar in [0, 1].
    """
    probability_NHW = mask_logits_NHW.sigmoid()
    overlap_N = (probability_NHW * targets_NHW).sum(dim=(1, 2))
    total_N = (probability_NHW + targets_NHW).sum(dim=(1, 2))
    return mean_over(1 - (2 * overlap_N + 1) / (total_N + 1), counted_N, count)


def box_loss(
    mask_logits_NHW: Tensor, targets_NHW: Tensor, counted_N: Tensor | None = None, count: Tensor | None = None
) -> Tensor:
    """What a box says of the mask in it: the mask touches every row and column of the box, and nothing lies outside.

    The first part is the projection loss of BoxInst (Tian et al., CVPR 2021): the largest probability of each row, and
    of each column, against the same of the filled box, by one minus Dice with squares in the denominator. The second
    part is binary cross-entropy on the cells outside, averaged over all cells, since the first part moves only one cell
    of a row. Which cells of the box belong to the mask, the loss leaves open. An expression whose box is too small to
    cover anything of the input has no part in it.

    Departs: the paper has no such loss. BoxInst has no second part, and adds a loss on the colours of neighbours.

    Args:
        mask_logits_NHW: the network's masks.
        targets_NHW: the filled boxes, as `mask_targets` gives them.
        counted_N: see `mean_over`.
        count: see `mean_over`; of the boxes that cover something.

    Returns:
        A scalar.
    """
    loss_N = torch.zeros(len(targets_NHW), device=targets_NHW.device)
    for along in (1, 2):
        largest_NS = mask_logits_NHW.amax(dim=along).sigmoid()
        wanted_NS = targets_NHW.amax(dim=along)
        overlap_N = (largest_NS * wanted_NS).sum(dim=1)
        squares_N = largest_NS.square().sum(dim=1) + wanted_NS.square().sum(dim=1)
        loss_N = loss_N + 1 - 2 * overlap_N / squares_N.clamp(min=1e-5)
    outside_NHW = F.softplus(mask_logits_NHW).masked_fill(targets_NHW > 0, 0)
    seen_N = covered(targets_NHW)
    counted_N = seen_N if counted_N is None else seen_N & counted_N
    return mean_over(loss_N + outside_NHW.mean(dim=(1, 2)), counted_N, count)


def category_loss(
    category_logits_BPY: Tensor, categories_BHW: Tensor, stride: int, count: Tensor | None = None
) -> Tensor:
    """Cross-entropy of the category of each cell, averaged over cells.

    The target of a cell is the share of each category in it. Pixels of unknown category do not count, and neither
    does the part of a cell that lies beyond the input.

    Args:
        category_logits_BPY: class 0 is nothing.
        categories_BHW: uint8 map of the whole input; 255 is unknown.
        stride: pixels of the input per cell; the first cell begins at the input's upper left corner.
        count: cells of known category in the whole batch, as `known_cells` counts them, if these are a part of it.

    Returns:
        A scalar.
    """
    images, cells, classes = category_logits_BPY.shape
    rows_H, columns_W = (
        torch.arange(side, device=categories_BHW.device) // stride for side in categories_BHW.shape[1:]
    )
    columns = -(-categories_BHW.shape[2] // stride)
    cell_BHW = torch.arange(images, device=categories_BHW.device)[:, None, None] * cells + (
        rows_H[:, None] * columns + columns_W
    )
    # Unknown pixels become one more class, which is then removed. The shares that remain are the weight of a cell.
    label_BHW = categories_BHW.long().clamp(max=classes)
    counts = torch.bincount((cell_BHW * (classes + 1) + label_BHW).flatten(), minlength=images * cells * (classes + 1))
    pixels_BPY = counts.view(images, cells, classes + 1).float()
    shares_BPY = pixels_BPY[:, :, :classes] / pixels_BPY.sum(dim=2, keepdim=True).clamp(min=1)
    loss = -(shares_BPY * category_logits_BPY.float().log_softmax(dim=2)).sum()
    return loss / (shares_BPY.sum() if count is None else count).clamp(min=1)


def attention_loss(
    attention_NKLP: Sequence[Tensor], word_mask_NL: Tensor, targets_NHW: Tensor, count: Tensor | None = None
) -> Tensor:
    """Minus the logarithm of the attention that falls on the referent, averaged over layers and expressions.

    The attention is divided by its largest possible value, which is less than one for a referent smaller than a cell.
    An expression whose referent is outside the input, or that has no referent, has no part in the loss. Of a referent
    that has only a box, any place in the box counts as on it: attention outside is surely wrong, and inside the loss
    prefers no cell that the box fills to another.

    Ours. In short trainings M3Att learns to use the image late or not at all (docs/lab-notes.md), because a mask can be
    found without it unless expressions compare objects. This loss draws the softmax of Eq. 2a to the referent from the
    start.

    Args:
        attention_NKLP: each layer's A_mut before any softmax.
        word_mask_NL: True = a word that counts. Only the word with the largest share counts, so that words for other
            objects ("left of the dog") may attend to those. The share is averaged over heads.
        targets_NHW: of `mask_targets` at the grid of F_enc, H * W = P.
        count: see `mean_over`; of the referents that cover something of the grid.
    """
    inside_NP1 = targets_NHW.flatten(1).unsqueeze(2)
    most_N = inside_NP1.squeeze(2).amax(dim=1)
    asked_N = most_N > 0
    losses = []
    for layer_NKLP in attention_NKLP:
        share_NL = (layer_NKLP.float().softmax(dim=3).mean(dim=1) @ inside_NP1).squeeze(2)
        share_N = share_NL.masked_fill(~word_mask_NL, 0).amax(dim=1)
        loss_N = (most_N.clamp(min=1e-4) / (share_N + 1e-4)).log()  # 1e-4 keeps it finite
        losses.append(mean_over(loss_N, asked_N, count))
    return torch.stack(losses).mean()


def ranking_loss(
    mask_logits_NHW: Tensor,
    objects_MHW: Tensor,
    object_index_N: Tensor,
    rivals_NM: Tensor,
    count: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of which object of its image an expression names, averaged over expressions.

    The score of an object is the mean logit of the mask over the object's cells, each weighted by the share that the
    object covers. A softmax over the objects of the image gives the probability of the referent. An expression has no
    part in it if its image has no second object, or if its referent covers nothing of the input.

    Departs: the paper has no such loss. Yu et al. (CVPR 2017) and MAttNet (CVPR 2018) rank the objects of an image for
    an expression too, with a hinge loss over proposals.

    Args:
        mask_logits_NHW: the network's masks.
        objects_MHW: the share of each cell that each object covers.
        object_index_N: number of the referent of each expression.
        rivals_NM: True = the object is in the image of the expression and covers something; see `rivals_of`.
        count: see `mean_over`; of the expressions that have a part in it.

    Returns:
        A scalar.
    """
    weights_MP = objects_MHW.flatten(1)
    weights_MP = weights_MP / weights_MP.sum(dim=1, keepdim=True).clamp(min=1e-6)
    scores_NM = mask_logits_NHW.flatten(1) @ weights_MP.T
    ranked_N = ranked(rivals_NM, object_index_N)
    # An expression without rivals would have a softmax over nothing: its own object stays in.
    own_NM = F.one_hot(object_index_N, len(objects_MHW)).bool()
    scores_NM = scores_NM.masked_fill(~(rivals_NM | own_NM), float("-inf"))
    loss_N = F.cross_entropy(scores_NM, object_index_N, reduction="none")
    return mean_over(loss_N, ranked_N, count)


def total_loss(
    mask_logits_NHW: Tensor,
    reconstructed_NC: Tensor | None,
    projected_NC: Tensor | None,
    targets_NHW: Tensor,
    mask_weight: float = 1.0,
    reconstruction_weight: float = 0.1,
    dice_weight: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
    category: Tensor | None = None,
    category_weight: float = 0.0,
    attention: Tensor | None = None,
    attention_weight: float = 0.0,
    ranking: Tensor | None = None,
    ranking_weight: float = 0.0,
    boxed_N: Tensor | None = None,
    box_weight: float = 1.0,
    focal_gamma: float = 0.0,
    counts: Counts | None = None,
) -> Losses:
    """L = w_mask L_mask + w_rec L_rec (Eq. 5), plus the given losses of ours.

    Args:
        mask_logits_NHW: the network's logits.
        reconstructed_NC: F_rec. None for a network without LFR; its reconstruction loss is zero.
        projected_NC: F_proj.
        targets_NHW: of `mask_targets`.
        mask_weight: w_mask.
        reconstruction_weight: w_rec.
        dice_weight: weight of the Dice loss.
        reduction: of `mask_loss`.
        category: result of `category_loss`, if it is used.
        category_weight: its weight.
        attention: result of `attention_loss`, if it is used.
        attention_weight: its weight.
        ranking: result of `ranking_loss`, if it is used.
        ranking_weight: its weight.
        boxed_N: True = the target is a filled box and no outline. Such an expression has the box loss in the place of
            the mask and Dice losses. None: all are outlines.
        box_weight: weight of the box loss.
        focal_gamma: of `mask_loss`.
        counts: of the whole batch, if these are a part of it.

    Returns:
        All parts, unweighted, and the weighted total.
    """
    logits_NHW = mask_logits_NHW.float()
    outlined_N = None if boxed_N is None else ~boxed_N
    outlined, boxed = (None, None) if counts is None else (counts.outlined, counts.boxed)
    mask = mask_loss(logits_NHW, targets_NHW, reduction, outlined_N, focal_gamma, outlined)
    zero = torch.zeros((), device=mask.device)
    dice = dice_loss(logits_NHW, targets_NHW, outlined_N, outlined) if dice_weight else zero
    box = zero if boxed_N is None else box_loss(logits_NHW, targets_NHW, boxed_N, boxed)
    reconstruction = target_spread = zero
    if reconstructed_NC is not None and projected_NC is not None:
        error_NC = F.mse_loss(reconstructed_NC.float(), projected_NC.float(), reduction="none")
        reconstruction = mean_over(error_NC.mean(dim=1), None, None if counts is None else counts.expressions)
        target_spread = projected_NC.detach().float().std(dim=0, correction=0).mean()
    total = mask_weight * mask + dice_weight * dice + box_weight * box + reconstruction_weight * reconstruction
    for extra, weight in ((category, category_weight), (attention, attention_weight), (ranking, ranking_weight)):
        if extra is not None:
            total = total + weight * extra
    category, attention, ranking = (zero if extra is None else extra for extra in (category, attention, ranking))
    return Losses(mask, dice, box, reconstruction, category, attention, ranking, total, target_spread)
