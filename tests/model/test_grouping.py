"""Expressions in any order, each beside the features of its own image."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.model.grouping import Grouping

few = settings(max_examples=40, deadline=None, derandomize=True)


@st.composite
def groupings(draw: st.DrawFn) -> tuple[list[int], int]:
    """An image for each of some expressions, and how many images there are."""
    images = draw(st.integers(1, 4))
    return draw(st.lists(st.integers(0, images - 1), min_size=1, max_size=7)), images


@few
@given(groupings(), st.integers(1, 3))
def test_unpack_undoes_pack(drawn: tuple[list[int], int], words: int) -> None:
    index, images = drawn
    grouping = Grouping.of(torch.tensor(index), images)
    rows_NLC = torch.randn(len(index), words, 2)
    packed = grouping.pack(rows_NLC)
    assert packed.shape[0] == images and packed.shape[2] == 2
    assert torch.equal(grouping.unpack(packed, words), rows_NLC)


@few
@given(groupings(), st.integers(1, 3))
def test_a_pack_holds_each_images_expressions_and_zeros(drawn: tuple[list[int], int], words: int) -> None:
    index, images = drawn
    rows_NLC = torch.randn(len(index), words, 2)
    packed = Grouping.of(torch.tensor(index), images).pack(rows_NLC)
    most = max(index.count(image) for image in range(images))
    assert packed.shape[1] == most * words
    for image in range(images):
        own = [rows_NLC[n, word] for n, at in enumerate(index) if at == image for word in range(words)]
        found = packed[image]
        for row, expected in zip(found, own, strict=False):  # in the order in which they came
            assert torch.equal(row, expected)
        assert found[len(own) :].eq(0).all()


@few
@given(groupings())
def test_a_packed_product_is_each_expression_times_its_own_image(drawn: tuple[list[int], int]) -> None:
    index, images = drawn
    grouping = Grouping.of(torch.tensor(index), images)
    rows_NLC = torch.randn(len(index), 2, 3, dtype=torch.float64)
    vis_BPC = torch.randn(images, 5, 3, dtype=torch.float64)
    found_NLP = grouping.unpack(grouping.pack(rows_NLC) @ vis_BPC.transpose(1, 2), 2)
    for n, image in enumerate(index):
        torch.testing.assert_close(found_NLP[n], rows_NLC[n] @ vis_BPC[image].T)


@few
@given(groupings(), st.integers(1, 3), st.integers(1, 2), st.booleans())
def test_a_product_is_each_expression_times_the_matrix_of_its_image(
    drawn: tuple[list[int], int], words: int, heads: int, in_use: bool
) -> None:
    index, images = sorted(drawn[0]) if in_use else drawn[0], drawn[1]
    rows_NLKC = torch.randn(len(index), words, heads, 3, dtype=torch.float64)
    right_BKCP = torch.randn(images, heads, 3, 5, dtype=torch.float64)
    with torch.inference_mode(in_use):
        grouping = Grouping.of(torch.tensor(index), images)
        found_NLKP = grouping.product(rows_NLKC, right_BKCP, words)
    assert bool(grouping.counts) == (in_use and images > 1)  # then images are multiplied one by one
    assert found_NLKP.shape == (len(index), words, heads, 5)
    for n, image in enumerate(index):
        for head in range(heads):
            torch.testing.assert_close(found_NLKP[n, :, head], rows_NLKC[n, :, head] @ right_BKCP[image, head])


def test_gradients_return_to_their_own_rows() -> None:
    grouping = Grouping.of(torch.tensor([1, 0, 1]), 3)
    rows_NLC = torch.randn(3, 2, 4, requires_grad=True)
    scale_NLC = torch.randn(3, 2, 4)
    (grouping.unpack(grouping.pack(rows_NLC), 2) * scale_NLC).sum().backward()
    assert rows_NLC.grad is not None and torch.equal(rows_NLC.grad, scale_NLC)
