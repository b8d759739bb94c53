"""The ranking loss against explicit loops, and what it leaves out."""

from __future__ import annotations

import math

import pytest
import torch

from m3att.losses import ranking_loss
from m3att.targets import ranked, rivals_of

CHANCE = torch.Generator().manual_seed(0)
LOGITS = torch.randn(6, 3, 4, generator=CHANCE)
OBJECTS = torch.rand(5, 3, 4, generator=CHANCE)
IMAGE_OF = torch.tensor([0, 0, 0, 1, 1, 2])  # three images
OBJECT_OF = torch.tensor([0, 1, 0, 2, 3, 4])  # the last image has one object


def literal_ranking_loss(logits: list, objects: list, image_of: list[int], object_of: list[int]) -> float:
    losses = []
    for n, mine in enumerate(object_of):
        named = {object_of[k] for k in range(len(object_of)) if image_of[k] == image_of[n]}
        seen = [m for m in sorted(named) if any(share > 0 for row in objects[m] for share in row)]
        if mine not in seen or len(seen) < 2:
            continue
        scores = {}
        for m in seen:
            products = shares = 0.0
            for y, row in enumerate(objects[m]):
                for x, share in enumerate(row):
                    products += share * logits[n][y][x]
                    shares += share
            scores[m] = products / shares
        losses.append(math.log(sum(math.exp(score) for score in scores.values())) - scores[mine])
    return sum(losses) / len(losses) if losses else 0.0


def loss_of(logits_NHW: torch.Tensor, objects_MHW: torch.Tensor) -> torch.Tensor:
    rivals_NM = rivals_of(objects_MHW, IMAGE_OF, OBJECT_OF)
    return ranking_loss(logits_NHW, objects_MHW, OBJECT_OF, rivals_NM)


@pytest.mark.parametrize("unseen", [(), (4,), (1,), (2,), (0, 3), (0, 1, 2, 3, 4)])
def test_it_is_cross_entropy_over_the_objects_of_the_image(unseen: tuple[int, ...]) -> None:
    objects_MHW = OBJECTS.clone()
    objects_MHW[list(unseen)] = 0
    expected = literal_ranking_loss(LOGITS.tolist(), objects_MHW.tolist(), IMAGE_OF.tolist(), OBJECT_OF.tolist())
    logits_NHW = LOGITS.clone().requires_grad_()
    found = loss_of(logits_NHW, objects_MHW)
    assert found.item() == pytest.approx(expected, rel=1e-5, abs=1e-7)
    found.backward()
    assert logits_NHW.grad is not None and logits_NHW.grad.isfinite().all()
    counted_N = ranked(rivals_of(objects_MHW, IMAGE_OF, OBJECT_OF), OBJECT_OF)
    assert ((logits_NHW.grad.flatten(1).abs().sum(dim=1) > 0) == counted_N).all()


def test_objects_of_other_images_and_objects_that_nobody_names_have_no_part() -> None:
    before = loss_of(LOGITS, OBJECTS).item()
    alone = ranking_loss(LOGITS[:3], OBJECTS[:2], OBJECT_OF[:3], torch.ones(3, 2, dtype=torch.bool))
    other = ranking_loss(LOGITS[3:5], OBJECTS[2:4], OBJECT_OF[3:5] - 2, torch.ones(2, 2, dtype=torch.bool))
    assert before == pytest.approx((3 * alone.item() + 2 * other.item()) / 5, rel=1e-5)
    unnamed = torch.cat([OBJECTS, torch.ones(2, 3, 4)])
    assert loss_of(LOGITS, unnamed).item() == pytest.approx(before, rel=1e-6)


def test_a_mask_on_its_own_object_has_no_loss_and_one_on_another_has_much() -> None:
    objects_MHW = torch.zeros(2, 2, 2)
    objects_MHW[0, 0], objects_MHW[1, 1] = 1, 1
    logits_NHW = torch.tensor([[[9.0, 9.0], [-9.0, -9.0]]])
    both_NM = torch.ones(1, 2, dtype=torch.bool)
    assert ranking_loss(logits_NHW, objects_MHW, torch.tensor([0]), both_NM).item() == pytest.approx(0, abs=1e-6)
    assert ranking_loss(logits_NHW, objects_MHW, torch.tensor([1]), both_NM).item() == pytest.approx(18, rel=1e-6)
    # A mask on both objects does not say which one is meant.
    assert ranking_loss(0 * logits_NHW, objects_MHW, torch.tensor([0]), both_NM).item() == pytest.approx(math.log(2))
