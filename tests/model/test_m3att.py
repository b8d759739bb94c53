"""M3Att against the paper's equations, written out as loops over expressions n, words l and positions p."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from m3att.model.grid import Grid
from m3att.model.grouping import Grouping
from m3att.model.m3att import Attention, M3Att
from m3att.model.norm import Projection

from .inputs import Inputs, make_inputs, settled, word_mask
from .literal import Matrix, Vector, add, dot, head_of, layer_norm, linear, softmax, weighted

CHANNELS, GRID = 8, (2, 3)
KINDS: tuple[Attention, ...] = ("shared", "independent", "lav", "val")


def make(
    attention: Attention = "shared",
    heads: int = 1,
    projection_norm: bool = True,
    fusion_norm: bool = False,
    fusion_vision: bool = False,
    norm_everywhere: bool = False,
) -> M3Att:
    switches = (projection_norm, fusion_norm, fusion_vision, norm_everywhere)
    return settled(M3Att(CHANNELS, Grid(*GRID, 1), attention, heads, *switches))


def literal_mutual(word_keys: Matrix, vision_keys: Matrix, heads: int, head: int) -> Matrix:
    """Eq. 1 for one expression and one head: a row a word, a column a position."""
    scale = 1 / math.sqrt(CHANNELS / heads)
    return [
        [scale * dot(head_of(word, head, heads), head_of(position, head, heads)) for position in vision_keys]
        for word in word_keys
    ]


def literal_lav(mutual: Matrix, values: Matrix) -> Matrix:
    """Eq. 2a: each word's row of A_mut, softmaxed over positions, weighs the vision values."""
    return [weighted(softmax(row), values) for row in mutual]


def literal_val(mutual: Matrix, values: Matrix, length: int) -> Matrix:
    """Eq. 2b: each position's column of A_mut, softmaxed over the real words, weighs the language values."""
    positions = range(len(mutual[0]))
    return [weighted(softmax([mutual[l][p] for l in range(length)]), values[:length]) for p in positions]  # noqa: E741


def literal_m3att(module: M3Att, inputs: Inputs) -> list[Matrix]:
    """What M3Att gives for each expression: a row a real word, for VAL alone a row a position."""
    results = []
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        length = int(inputs.word_mask_NL[n].sum())
        words, vision = inputs.words_NLC[n].tolist(), inputs.vis_BPC[image].tolist()
        word_keys = [linear(row, module.word_key) for row in words]
        vision_keys = [linear(row, module.vision_key) for row in vision]
        lav: Matrix = [[] for _ in words]
        val: Matrix = [[] for _ in vision]
        for head in range(module.heads):
            mutual = literal_mutual(word_keys, vision_keys, module.heads, head)
            if module.attention != "val":
                values = [head_of(linear(row, module.vision_value), head, module.heads) for row in vision]
                lav = [row + more for row, more in zip(lav, literal_lav(mutual, values), strict=True)]
            if module.attention == "independent":
                keys = [linear(row, module.word_key_val) for row in words]
                mutual = literal_mutual(
                    keys, [linear(row, module.vision_key_val) for row in vision], module.heads, head
                )
            if module.attention != "lav":
                values = [head_of(linear(row, module.word_value), head, module.heads) for row in words]
                val = [row + more for row, more in zip(val, literal_val(mutual, values, length), strict=True)]
        if module.attention == "val":
            results.append([linear(row, module.output) for row in val])
        elif module.attention == "lav":
            results.append([linear(row, module.output) for row in lav[:length]])
        else:
            scale = 1 / math.sqrt(CHANNELS)
            fused = [[scale * dot(row, position) for position in val] for row in lav[:length]]  # F_V^a (F_L^a)^T
            if module.fusion_norm is not None:
                fused = [layer_norm(row, module.fusion_norm) for row in fused]
            given = [linear(row, module.output) for row in fused]
            if module.vision_output is not None:
                given = [add(one, linear(row, module.vision_output)) for one, row in zip(given, lav, strict=False)]
            results.append(given)
    return results


def check(found: Tensor, expected: Any) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("projection_norm", [True, False])
@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("attention", KINDS)
def test_it_is_the_literal_equations(attention: Attention, heads: int, projection_norm: bool) -> None:
    module, inputs = make(attention, heads, projection_norm), make_inputs(CHANNELS, GRID)
    found = module(*inputs.arguments)
    assert found.shape == (3, 6 if attention == "val" else 4, CHANNELS)
    for rows, expected in zip(found, literal_m3att(module, inputs), strict=True):
        check(rows[: len(expected)], expected)


@pytest.mark.parametrize("attention", KINDS)
def test_norm_everywhere_puts_bn_and_relu_after_every_linear_layer(attention: Attention) -> None:
    module, inputs = make(attention, norm_everywhere=True), make_inputs(CHANNELS, GRID)
    assert all(isinstance(part, Projection) for part in module.children())
    for rows, expected in zip(module(*inputs.arguments), literal_m3att(module, inputs), strict=True):
        check(rows[: len(expected)], expected)  # `linear` of a Projection has BN and ReLU


@pytest.mark.parametrize("attention", ["shared", "independent"])
def test_fusion_norm_is_over_the_positions_of_each_word(attention: Attention) -> None:
    module, inputs = make(attention, fusion_norm=True), make_inputs(CHANNELS, GRID)
    found = module(*inputs.arguments)
    for rows, expected in zip(found, literal_m3att(module, inputs), strict=True):
        check(rows[: len(expected)], expected)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("attention", ["shared", "independent"])
def test_fusion_vision_adds_each_words_lav(attention: Attention, heads: int) -> None:
    module, inputs = make(attention, heads, fusion_vision=True), make_inputs(CHANNELS, GRID)
    found = module(*inputs.arguments)
    for rows, expected in zip(found, literal_m3att(module, inputs), strict=True):
        check(rows[: len(expected)], expected)


@pytest.mark.parametrize("attention", ["shared", "independent"])
def test_of_one_word_f_mul_tells_no_place_and_of_more_as_many_maps_as_words_less_one(attention: Attention) -> None:
    module, inputs = make(attention), make_inputs(8, (2, 3))
    seen: list[Tensor] = []
    module.output.register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    module(*inputs.arguments)
    for n, words in enumerate((3, 1, 4)):
        fused_LP = seen[0][n, :words]
        moving_LP = fused_LP - fused_LP.mean(dim=1, keepdim=True)  # a position's weights sum to 1
        assert int(torch.linalg.matrix_rank(moving_LP, atol=1e-9)) == words - 1


@pytest.mark.parametrize("attention", ["lav", "val"])
def test_what_fuses_nothing_has_nothing_of_the_fusion(attention: Attention) -> None:
    whole = make(attention, fusion_norm=True, fusion_vision=True)
    assert whole.state_dict().keys() == make(attention).state_dict().keys()


@pytest.mark.parametrize("heads", [1, 2])
def test_a_mut_is_eq_1(heads: int) -> None:
    module, inputs = make(heads=heads), make_inputs(CHANNELS, GRID)
    found_NKLP = module.mutual_attention(inputs.words_NLC, inputs.vis_BPC, inputs.grouping)
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        words, vision = inputs.words_NLC[n].tolist(), inputs.vis_BPC[image].tolist()
        check(found_NKLP[n], [literal_mutual(words, vision, heads, head) for head in range(heads)])


def test_lav_is_eq_2a() -> None:
    module, inputs = make("lav"), make_inputs(CHANNELS, GRID)
    attention_NKLP = torch.randn(3, 1, 4, 6, dtype=torch.float64) * 3
    found_NLC = module.attend_vision(attention_NKLP, inputs.vis_BPC, inputs.grouping)
    for n, image in enumerate(inputs.grouping.image_index_N.tolist()):
        check(found_NLC[n], literal_lav(attention_NKLP[n, 0].tolist(), inputs.vis_BPC[image].tolist()))


def test_val_is_eq_2b() -> None:
    module, inputs = make("val"), make_inputs(CHANNELS, GRID)
    attention_NKLP = torch.randn(3, 1, 4, 6, dtype=torch.float64) * 3
    weight_NKLP = module.language_weights(attention_NKLP, inputs.word_mask_NL)
    found_NPC = module.attend_language(weight_NKLP, inputs.words_NLC)
    assert found_NPC.shape == (3, 6, CHANNELS)
    for n, length in enumerate(inputs.word_mask_NL.sum(dim=1).tolist()):
        check(found_NPC[n], literal_val(attention_NKLP[n, 0].tolist(), inputs.words_NLC[n].tolist(), length))


def test_language_weights_of_a_position_sum_to_one_and_spare_padding() -> None:
    inputs = make_inputs(CHANNELS, GRID)
    weight_NKLP = make(heads=2).language_weights(torch.randn(3, 2, 4, 6) * 50, inputs.word_mask_NL)
    torch.testing.assert_close(weight_NKLP.sum(dim=2), torch.ones(3, 2, 6))
    assert weight_NKLP.transpose(1, 2)[~inputs.word_mask_NL].eq(0).all()


@pytest.mark.parametrize("heads", [1, 2])
def test_the_regrouped_product_is_lav_times_val(heads: int) -> None:
    """F_mul = F_V^a (F_L^a)^T, though `fuse` never makes F_L^a."""
    module, inputs = make(heads=heads), make_inputs(CHANNELS, GRID)
    lav_NLC = torch.randn_like(inputs.words_NLC)
    weight_NKLP = module.language_weights(torch.randn(3, heads, 4, 6, dtype=torch.float64), inputs.word_mask_NL)
    found_NLP = module.fuse(lav_NLC, weight_NKLP, inputs.words_NLC)
    val_NPC = module.attend_language(weight_NKLP, inputs.words_NLC)
    for n in range(3):
        rows, positions = lav_NLC[n].tolist(), val_NPC[n].tolist()
        check(found_NLP[n], [[dot(row, position) / math.sqrt(CHANNELS) for position in positions] for row in rows])


def test_shared_has_one_matrix_and_independent_two() -> None:
    shared, independent = make("shared"), make("independent")
    more = independent.state_dict().keys() - shared.state_dict().keys()
    assert {name.split(".")[0] for name in more} == {"word_key_val", "vision_key_val"}
    assert not shared.state_dict().keys() - independent.state_dict().keys()
    # With the second pair of projections equal to the first, both are the same function.
    weights = shared.state_dict()
    copies = {name: weights[name.replace("_val.", ".")] for name in more}
    independent.load_state_dict(weights | copies)
    inputs = make_inputs(CHANNELS, GRID)
    torch.testing.assert_close(independent(*inputs.arguments), shared(*inputs.arguments))


@pytest.mark.parametrize("attention", KINDS)
def test_what_stands_at_padding_changes_nothing(attention: Attention) -> None:
    module, inputs = make(attention), make_inputs(CHANNELS, GRID)
    wild_NLC = inputs.words_NLC.masked_fill(~inputs.word_mask_NL.unsqueeze(2), 1e3)
    found, wild = module(*inputs.arguments), module(*replace(inputs, words_NLC=wild_NLC).arguments)
    if attention == "val":
        assert torch.equal(found, wild)
    else:
        assert torch.equal(found[inputs.word_mask_NL], wild[inputs.word_mask_NL])


def test_the_output_layer_reads_one_channel_a_position() -> None:
    assert make("shared").output.in_features == GRID[0] * GRID[1]
    assert make("lav").output.in_features == make("val").output.in_features == CHANNELS


def literal_bilinear(rows: Matrix, height: int, width: int) -> Matrix:
    """A map resized with pixel centres in place and its border repeated."""

    def place(at: int, size: int, size_in: int) -> tuple[int, int, float]:
        exact = min(max((at + 0.5) * size_in / size - 0.5, 0.0), size_in - 1.0)
        return int(exact), min(int(exact) + 1, size_in - 1), exact % 1

    found = []
    for y in range(height):
        top, bottom, down = place(y, height, len(rows))
        line: Vector = []
        for x in range(width):
            left, right, across = place(x, width, len(rows[0]))
            above = rows[top][left] * (1 - across) + rows[top][right] * across
            below = rows[bottom][left] * (1 - across) + rows[bottom][right] * across
            line.append(above * (1 - down) + below * down)
        found.append(line)
    return found


@pytest.mark.parametrize("grid", [(4, 5), (2, 2), (6, 3)])
def test_at_another_grid_f_mul_is_resized_to_the_trained_one(
    monkeypatch: pytest.MonkeyPatch, grid: tuple[int, int]
) -> None:
    module, inputs = make("shared"), make_inputs(CHANNELS, grid)
    fused: list[Tensor] = []
    fuse = module.fuse
    monkeypatch.setattr(module, "fuse", lambda *given: fused.append(fuse(*given)) or fused[-1])
    found_NLC = module(*inputs.arguments)
    for n, length in enumerate(inputs.word_mask_NL.sum(dim=1).tolist()):
        for word in range(length):
            small = literal_bilinear(fused[0][n, word].view(grid).tolist(), *GRID)
            check(found_NLC[n, word], linear([value for row in small for value in row], module.output))


def test_at_the_trained_grid_nothing_is_resized(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("resized")

    monkeypatch.setattr(functional, "interpolate", refuse)
    for attention in KINDS:
        make(attention)(*make_inputs(CHANNELS, GRID).arguments)
    for attention in ("lav", "val"):  # these have no layer that depends on the grid
        make(attention)(*make_inputs(CHANNELS, (3, 5)).arguments)
    with pytest.raises(AssertionError, match="resized"):
        make("shared")(*make_inputs(CHANNELS, (3, 5)).arguments)


def test_vision_is_projected_once_an_image() -> None:
    module = make("independent")
    seen: list[int] = []
    for part in (module.vision_key, module.vision_value, module.vision_key_val):
        part.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    expressions = 5
    module(
        torch.randn(expressions, 4, CHANNELS, dtype=torch.float64),
        word_mask((4,) * expressions, 4),
        torch.randn(2, 6, CHANNELS, dtype=torch.float64),
        Grouping.of(torch.tensor([0, 1, 0, 1, 1]), 2),
        Grid(*GRID, 1),
    )
    assert seen == [2, 2, 2]
