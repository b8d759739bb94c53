"""Eq. 5 and its parts against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.losses import (
    Losses,
    attention_loss,
    box_loss,
    category_loss,
    dice_loss,
    mask_loss,
    total_loss,
)
from m3att.targets import mask_targets

ZERO = torch.zeros(1, 1, 2)
LN3 = math.log(3)  # a logit of probability 3/4


def test_cross_entropy_by_hand() -> None:
    logits_NHW = torch.tensor([[[LN3, -LN3]], [[LN3, 0.0]]])  # probabilities 3/4, 1/4; 3/4, 1/2
    targets_NHW = torch.tensor([[[1.0, 0.0]], [[0.0, 0.5]]])
    # -ln 3/4 twice; -ln 1/4; and for a half-covered cell at probability 1/2 ln 2.
    expected = (2 * math.log(4 / 3) + math.log(4) + math.log(2)) / 4
    assert mask_loss(logits_NHW, targets_NHW).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("expressions", [1, 3])
def test_sum_adds_up_a_masks_pixels_and_averages_expressions(expressions: int) -> None:
    logits_NHW = torch.zeros(expressions, 4, 5)
    targets_NHW = torch.ones(expressions, 4, 5)
    assert mask_loss(logits_NHW, targets_NHW, "mean").item() == pytest.approx(math.log(2), rel=1e-6)
    assert mask_loss(logits_NHW, targets_NHW, "sum").item() == pytest.approx(20 * math.log(2), rel=1e-6)


def test_dice_by_hand() -> None:
    logits_NHW = torch.tensor([[[LN3, -LN3]], [[0.0, 0.0]]])
    targets_NHW = torch.tensor([[[1.0, 0.0]], [[0.0, 0.0]]])
    # Overlap 3/4, sizes 1 + 1: 1 - (2 * 3/4 + 1) / 3 = 1/6. No overlap, sizes 1 + 0: 1 - 1/2.
    assert dice_loss(logits_NHW, targets_NHW).item() == pytest.approx((1 / 6 + 1 / 2) / 2, rel=1e-6)


def test_dice_of_a_right_mask_is_zero_however_small_it_is() -> None:
    targets_NHW = torch.zeros(2, 8, 8)
    targets_NHW[0, 0, 0] = 1
    targets_NHW[1, :4] = 1
    assert dice_loss((targets_NHW - 0.5) * 200, targets_NHW).item() == pytest.approx(0, abs=1e-6)
    missed = dice_loss(torch.full((2, 8, 8), -100.0), targets_NHW)
    assert missed.item() == pytest.approx(1 - (1 / 2 + 1 / 33) / 2, rel=1e-6)


def literal_attention_loss(layers: list[torch.Tensor], real_NL: torch.Tensor, inside_NHW: torch.Tensor) -> float:
    total, count = 0.0, 0
    for layer_NKLP in layers:
        for n, heads in enumerate(layer_NKLP.tolist()):
            best = 0.0
            for word, real in enumerate(real_NL[n].tolist()):
                share = 0.0
                for head in heads:
                    powers = [math.exp(score) for score in head[word]]
                    places = zip(powers, inside_NHW[n].flatten().tolist(), strict=True)
                    share += sum(power * place for power, place in places) / sum(powers) / len(heads)
                best = max(best, share) if real else best
            most = float(inside_NHW[n].max())
            if most > 0:
                total -= math.log((best + 1e-4) / most)
                count += 1
    return total / count


@pytest.mark.parametrize("none", [0.0, 0.01, 1.0])  # of the third referent: nowhere, smaller than a cell
def test_the_attention_loss_asks_for_one_real_word_on_the_referent(none: float) -> None:
    chance = torch.Generator().manual_seed(0)
    layers = [torch.randn(3, 2, 4, 6, generator=chance) for _ in range(2)]
    real_NL = torch.tensor([[True] * 4, [True, True, False, False], [True, False, False, False]])
    inside_NHW = torch.rand(3, 2, 3, generator=chance)
    inside_NHW[2] *= none
    found = attention_loss(layers, real_NL, inside_NHW)
    assert found.item() == pytest.approx(literal_attention_loss(layers, real_NL, inside_NHW), rel=1e-5)
    # What padding attends to is nothing to it.
    layers[0][1, :, 2:] = 50.0
    assert attention_loss(layers, real_NL, inside_NHW).item() == pytest.approx(found.item(), rel=1e-6)


def test_the_attention_loss_is_nothing_on_the_referent_and_finite_off_it() -> None:
    inside_NHW = torch.zeros(1, 2, 2)
    inside_NHW[0, 0, 1] = 1
    attention_NKLP = torch.zeros(1, 1, 1, 4)
    attention_NKLP[..., 1] = 100
    real_NL = torch.ones(1, 1, dtype=torch.bool)
    assert attention_loss([attention_NKLP], real_NL, inside_NHW).item() == pytest.approx(0, abs=2e-4)
    off = attention_loss([-attention_NKLP], real_NL, inside_NHW)
    assert math.isfinite(off.item()) and off > 9
    assert attention_loss([attention_NKLP], real_NL, 0.1 * inside_NHW).item() == pytest.approx(0, abs=2e-3)
    assert attention_loss([attention_NKLP], real_NL, 0 * inside_NHW) == 0


def literal_box_loss(logits_NHW: torch.Tensor, boxes_NHW: torch.Tensor) -> float:
    total = 0.0
    for logits, box in zip(logits_NHW.tolist(), boxes_NHW.tolist(), strict=True):
        rows, columns = range(len(box)), range(len(box[0]))
        likely = [[1 / (1 + math.exp(-logits[y][x])) for x in columns] for y in rows]
        lines = [[(y, x) for x in columns] for y in rows], [[(y, x) for y in rows] for x in columns]
        for every in lines:
            overlap = squares = 0.0
            for line in every:
                found, wanted = max(likely[y][x] for y, x in line), max(box[y][x] for y, x in line)
                overlap += found * wanted
                squares += found**2 + wanted**2
            total += 1 - 2 * overlap / squares
        for y in rows:
            for x in columns:
                if box[y][x] == 0:
                    total -= math.log(1 - likely[y][x]) / (len(rows) * len(columns))
    return total / len(boxes_NHW)


def boxes(count: int) -> torch.Tensor:
    """Filled boxes on 5 x 6 cells, with a rim that covers a part of its cells."""
    boxes_NHW = torch.zeros(count, 5, 6)
    for number in range(count):
        boxes_NHW[number, 1 : 3 + number % 2, number % 3 : 4] = 1
        boxes_NHW[number, :, 4] = 0.3 * boxes_NHW[number, :, 3]
    return boxes_NHW


def test_the_box_loss_asks_for_every_row_and_column_of_the_box_and_nothing_outside() -> None:
    logits_NHW = torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(0))
    assert box_loss(logits_NHW, boxes(3)).item() == pytest.approx(literal_box_loss(logits_NHW, boxes(3)), rel=1e-5)


def test_every_mask_that_touches_the_four_sides_of_its_box_satisfies_the_box_loss() -> None:
    box_NHW = torch.zeros(1, 4, 4)
    box_NHW[0, :3, 1:] = 1
    full, diagonal = box_NHW.clone(), torch.zeros(1, 4, 4)
    diagonal[0, range(3), range(1, 4)] = 1
    for mask_NHW in (full, diagonal):
        assert box_loss((mask_NHW - 0.5) * 60, box_NHW).item() == pytest.approx(0, abs=1e-5)
    short, outside = diagonal.clone(), diagonal.clone()
    short[0, 2, 3] = 0  # the lowest row of the box is empty, and its last column
    outside[0, 3, 0] = 1
    assert box_loss((short - 0.5) * 60, box_NHW).item() == pytest.approx(2 * (1 - 4 / 5))
    assert box_loss((outside - 0.5) * 60, box_NHW).item() == pytest.approx(2 * (1 - 6 / 7) + 30 / 16)


def test_a_box_that_is_too_small_to_be_seen_has_no_part() -> None:
    boxes_NHW = torch.cat([boxes(1), torch.zeros(1, 5, 6)])
    logits_NHW = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(0))
    assert box_loss(logits_NHW, boxes_NHW).item() == pytest.approx(literal_box_loss(logits_NHW[:1], boxes(1)), rel=1e-5)
    assert box_loss(logits_NHW[1:], boxes_NHW[1:]).item() == 0


@pytest.mark.parametrize("boxed", [[True, False, False, True, True], [True] * 5, [False] * 5])
def test_each_kind_of_referent_has_its_own_losses_averaged_over_its_own_expressions(boxed: list[bool]) -> None:
    chance = torch.Generator().manual_seed(0)
    logits_NHW = torch.randn(5, 5, 6, generator=chance).requires_grad_()
    targets_NHW, boxed_N = boxes(5), torch.tensor(boxed)
    losses = total_loss(logits_NHW, None, None, targets_NHW, 2.0, dice_weight=3.0, boxed_N=boxed_N, box_weight=0.5)
    mask = dice = box = 0.0
    if not all(boxed):
        mask = mask_loss(logits_NHW[~boxed_N], targets_NHW[~boxed_N]).item()
        dice = dice_loss(logits_NHW[~boxed_N], targets_NHW[~boxed_N]).item()
    if any(boxed):
        box = literal_box_loss(logits_NHW[boxed_N].detach(), targets_NHW[boxed_N])
    assert [losses.mask.item(), losses.dice.item(), losses.box.item()] == pytest.approx([mask, dice, box], rel=1e-5)
    assert losses.total.item() == pytest.approx(2 * mask + 3 * dice + 0.5 * box, rel=1e-5)
    losses.total.backward()
    assert logits_NHW.grad is not None and logits_NHW.grad.isfinite().all()
    assert (logits_NHW.grad.flatten(1).abs().sum(dim=1) > 0).all()  # every expression teaches something


def test_eq_5_weighs_its_parts() -> None:
    reconstructed_NC, projected_NC = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
    losses = total_loss(ZERO, reconstructed_NC, projected_NC, torch.ones(1, 1, 2))
    assert losses.mask.item() == pytest.approx(math.log(2))
    assert losses.reconstruction.item() == pytest.approx((1 + 4) / 2)  # mean squared error
    assert losses.dice.item() == 0
    assert losses.total.item() == pytest.approx(math.log(2) + 0.1 * 2.5)  # the paper's w_mask = 1, w_rec = 0.1
    weighed = total_loss(ZERO, reconstructed_NC, projected_NC, torch.ones(1, 1, 2), 3.0, 0.5, 2.0, "sum")
    dice = 1 - (2 * 1 + 1) / (3 + 1)  # probabilities 1/2 and 1/2 on a full mask of two cells
    assert weighed.dice.item() == pytest.approx(dice)
    assert weighed.mask.item() == pytest.approx(2 * math.log(2))
    attention = torch.tensor(3.0)
    watched = total_loss(ZERO, None, None, torch.ones(1, 1, 2), attention=attention, attention_weight=0.5)
    assert watched.attention == 3 and watched.total.item() == pytest.approx(math.log(2) + 1.5)
    assert losses.attention == 0
    assert weighed.total.item() == pytest.approx(3 * 2 * math.log(2) + 0.5 * 2.5 + 2 * dice)


def test_without_lfr_there_is_no_reconstruction_loss() -> None:
    losses = total_loss(ZERO, None, None, torch.ones(1, 1, 2))
    assert isinstance(losses, Losses)
    assert losses.reconstruction.item() == 0
    assert losses.total.item() == pytest.approx(math.log(2))


def test_a_collapsed_target_has_no_spread() -> None:
    projected_NC = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 6.0]])
    masks = torch.zeros(3, 1, 2)
    deviations = [math.sqrt(8 / 3), math.sqrt(8)]  # of 1, 3, 5 and of 0, 0, 6
    losses = total_loss(masks, torch.zeros(3, 2), projected_NC, masks)
    assert losses.target_spread.item() == pytest.approx(sum(deviations) / 2, rel=1e-6)
    collapsed = total_loss(masks, torch.zeros(3, 2), projected_NC[:1].expand(3, -1), masks)
    assert collapsed.target_spread.item() == 0
    assert total_loss(masks, None, None, masks).target_spread.item() == 0


def test_the_gradient_of_the_mean_is_probability_minus_target() -> None:
    logits_NHW = torch.randn(2, 3, 4, requires_grad=True)
    targets_NHW = torch.rand(2, 3, 4)
    total_loss(logits_NHW, None, None, targets_NHW).total.backward()
    torch.testing.assert_close(logits_NHW.grad, (logits_NHW.detach().sigmoid() - targets_NHW) / 24)


def test_losses_are_in_float32_whatever_the_logits_are() -> None:
    low = torch.randn(2, 3, 4).bfloat16()
    losses = total_loss(low, low[:, 0], low[:, 1], torch.ones(2, 3, 4), dice_weight=1.0)
    assert {value.dtype for value in vars(losses).values()} == {torch.float32}
    assert losses.mask.item() == pytest.approx(mask_loss(low.float(), torch.ones(2, 3, 4)).item())


def test_a_hopeless_logit_gives_no_infinity() -> None:
    losses = total_loss(torch.full((1, 2, 2), -1e4), None, None, torch.ones(1, 2, 2), dice_weight=1.0)
    assert losses.total.item() == pytest.approx(1e4 + 0.8)


def test_a_target_is_the_share_of_its_cell_that_the_referent_covers() -> None:
    masks_MHW = torch.zeros(2, 4, 4, dtype=torch.uint8)
    masks_MHW[0, :2, :2] = 255  # one whole cell
    masks_MHW[1, 1, :3] = 255  # two pixels of one, one of the next
    masks_MHW[1, 3, 3] = 51  # a fifth of a pixel of a fourth
    targets_NHW = mask_targets(masks_MHW, torch.tensor([1, 0, 1]), (2, 2), 2)
    assert targets_NHW.dtype == torch.float32
    assert targets_NHW[1].tolist() == [[1, 0], [0, 0]]
    for row in (targets_NHW[0], targets_NHW[2]):
        assert row.flatten().tolist() == pytest.approx([0.5, 0.25, 0, 0.05])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 8, 14]), st.integers(0, 3), st.integers(0, 99))
def test_each_cell_of_a_target_is_the_mean_of_its_pixels_wherever_it_begins(
    height: int, width: int, vision_stride: int, upsamplings: int, seed: int
) -> None:
    masks_MHW = torch.randint(0, 256, (1, height, width), generator=torch.Generator().manual_seed(seed)).byte()
    rows, columns = (2**upsamplings * math.ceil(side / vision_stride) for side in (height, width))
    stride = vision_stride / 2**upsamplings
    targets_NHW = mask_targets(masks_MHW, torch.tensor([0]), (rows, columns), stride)
    assert targets_NHW.shape == (1, rows, columns)
    # Eight parts of a pixel are the most that a cell's edge can tell apart; beyond the edge its last pixels go on.
    fine = np.repeat(np.repeat(masks_MHW[0].numpy().astype(float) / 255, 8, axis=0), 8, axis=1)
    side = round(8 * stride)
    fine = np.pad(fine, ((0, rows * side - len(fine)), (0, columns * side - fine.shape[1])), mode="edge")
    expected = fine.reshape(rows, side, columns, side).mean(axis=(1, 3))
    np.testing.assert_allclose(targets_NHW[0].numpy(), expected, atol=1e-5)


def test_a_target_needs_cells_that_cover_the_input() -> None:
    masks_MHW = torch.zeros(1, 100, 100, dtype=torch.uint8)
    with pytest.raises(ValueError, match="12 x 13 cells of 8 pixels do not cover 100 x 100 pixels"):
        mask_targets(masks_MHW, torch.tensor([0]), (12, 13), 8)


def test_the_last_cell_of_a_target_holds_what_lies_at_the_edge() -> None:
    """100 pixels at stride 8: 13 cells, the last of which holds 4 pixels of the input and 4 of padding."""
    masks_MHW = torch.zeros(2, 100, 100, dtype=torch.uint8)
    masks_MHW[0, :, 96:] = 255
    masks_MHW[1, :, 96:98] = 255
    targets_NHW = mask_targets(masks_MHW, torch.tensor([0, 1]), (13, 13), 8)
    assert targets_NHW[:, :, :12].max() == 0
    assert targets_NHW[0, :, 12].tolist() == [1.0] * 13
    assert targets_NHW[1, :, 12].tolist() == [0.25] * 13


def test_category_loss_by_hand() -> None:
    # Two cells of two pixels: half nothing and half category 1; half category 1 and half unknown.
    categories_BHW = torch.tensor([[[0, 1, 1, 255]]], dtype=torch.uint8)
    category_logits_BPY = torch.tensor([[[LN3, 0.0], [0.0, 0.0]]])  # probabilities 3/4, 1/4; 1/2, 1/2
    expected = (0.5 * math.log(4 / 3) + 0.5 * math.log(4) + 0.5 * math.log(2)) / 1.5
    assert category_loss(category_logits_BPY, categories_BHW, 2).item() == pytest.approx(expected, rel=1e-6)


def test_a_cell_that_reaches_over_the_edge_is_told_by_its_pixels_of_the_input() -> None:
    """Five pixels at stride 2: the third cell holds the last pixel alone, the first two hold two pixels each."""
    categories_BHW = torch.tensor([[[0, 0, 1, 1, 1], [0, 0, 1, 1, 1]]], dtype=torch.uint8)
    category_logits_BPY = torch.zeros(1, 3, 2)
    category_logits_BPY[0, 0, 0] = category_logits_BPY[0, 1, 1] = category_logits_BPY[0, 2, 1] = 100
    assert category_loss(category_logits_BPY, categories_BHW, 2).item() == pytest.approx(0, abs=1e-6)


def test_what_is_unknown_teaches_nothing() -> None:
    category_logits_BPY = torch.randn(2, 4, 3, requires_grad=True)
    loss = category_loss(category_logits_BPY, torch.full((2, 8, 8), 255, dtype=torch.uint8), 4)
    assert loss.item() == 0
    loss.backward()
    assert category_logits_BPY.grad is not None and not category_logits_BPY.grad.any()


def test_the_category_loss_is_weighed_into_the_total() -> None:
    with_category = total_loss(ZERO, None, None, ZERO, category=torch.tensor(3.0), category_weight=0.5)
    assert with_category.category.item() == 3
    assert with_category.total.item() == pytest.approx(total_loss(ZERO, None, None, ZERO).total.item() + 1.5)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-8, 8), st.sampled_from([0.0, 0.25, 0.7, 1.0])), min_size=4, max_size=4),
    st.sampled_from([0.5, 1.0, 2.0, 5.0]),
    st.booleans(),
)
def test_focal_loss_is_that_of_a_loop(pixels: list[tuple[float, float]], gamma: float, counted: bool) -> None:
    logits_NHW = torch.tensor([logit for logit, _ in pixels]).view(2, 1, 2)
    targets_NHW = torch.tensor([target for _, target in pixels]).view(2, 1, 2)
    total, number = 0.0, 0
    for at, (logit, target) in enumerate(pixels):
        if counted and at >= 2:
            continue  # the second expression does not count
        p = 1 / (1 + math.exp(-logit))
        if target in (0.0, 1.0):  # Lin et al., Eq. 4, without alpha
            p_t = p if target == 1.0 else 1 - p
            total += -((1 - p_t) ** gamma) * math.log(p_t)
        else:  # Li et al., Eq. 5
            total += -(abs(target - p) ** gamma) * ((1 - target) * math.log(1 - p) + target * math.log(p))
        number += 1
    counted_N = torch.tensor([True, False]) if counted else None
    found = mask_loss(logits_NHW, targets_NHW, counted_N=counted_N, focal_gamma=gamma)
    assert found.item() == pytest.approx(total / number, rel=1e-3, abs=1e-6)
    summed = mask_loss(logits_NHW, targets_NHW, "sum", counted_N, gamma)
    assert summed.item() == pytest.approx(2 * found.item(), rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 10.0])
def test_focal_loss_has_a_gradient_where_a_pixel_is_right_or_wrong_beyond_doubt(gamma: float) -> None:
    logits_NHW = torch.tensor([[[200.0, -200.0, 200.0, 0.0]]], requires_grad=True)
    loss = mask_loss(logits_NHW, torch.tensor([[[1.0, 0.0, 0.0, 0.5]]]), focal_gamma=gamma)
    loss.backward()
    assert loss.isfinite() and logits_NHW.grad is not None and logits_NHW.grad.isfinite().all()
    assert logits_NHW.grad[0, 0, 2] == pytest.approx(0.25)  # the wrong one pulls as in cross-entropy


def test_a_focal_power_of_zero_is_cross_entropy_and_pixels_that_are_right_count_less() -> None:
    logits_NHW, targets_NHW = torch.tensor([[[LN3, -LN3]]]), torch.tensor([[[1.0, 0.0]]])  # both errors are 1/4
    plain = mask_loss(logits_NHW, targets_NHW)
    assert torch.equal(mask_loss(logits_NHW, targets_NHW, focal_gamma=0.0), plain)
    assert mask_loss(logits_NHW, targets_NHW, focal_gamma=2.0).item() == pytest.approx(plain.item() / 16, rel=1e-6)
    parts = total_loss(logits_NHW, None, None, targets_NHW, mask_weight=3.0, focal_gamma=2.0)
    assert parts.total.item() == pytest.approx(3 * plain.item() / 16, rel=1e-6)
