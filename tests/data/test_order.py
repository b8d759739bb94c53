"""Orders: every expression once, and only seed and epoch decide where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.config import DataConfig
from m3att.data.open import ENDLESS
from m3att.data.order import EndlessOrder, Group, TrainingOrder, choose_positions, divide, evaluation_batches

from .counted import CountedSource, Groups

QUICK = settings(max_examples=60, deadline=None)
IMAGES = st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=12)
SIZES = st.integers(1, 17)
SEEDS = st.integers(0, 2**40)


def all_of(source: CountedSource) -> list[tuple[int, int]]:
    return [(index, at) for index in range(len(source)) for group in source.expression_groups(index) for at in group]


def in_batch(batch: Sequence[Group]) -> list[tuple[int, int]]:
    return [(group.image, at) for group in batch for at in group.positions or ()]


@QUICK
@given(IMAGES, SIZES, st.integers(1, 6), st.booleans(), SEEDS, st.integers(0, 50))
def test_an_epoch_holds_every_expression_once(
    images: list[list[int]], batch_size: int, per_image: int, grouped: bool, seed: int, epoch: int
) -> None:
    source = CountedSource(images)
    order = TrainingOrder(source, batch_size, DataConfig(grouped=grouped, per_image=per_image), seed, epoch)
    batches = list(order)
    assert len(order) == len(batches)
    assert sorted(pair for batch in batches for pair in in_batch(batch)) == all_of(source)
    assert all(len(in_batch(batch)) == batch_size for batch in batches[:-1])
    assert 1 <= len(in_batch(batches[-1])) <= batch_size
    assert all(group.limit == len(group.positions or ()) <= per_image for batch in batches for group in batch)


@QUICK
@given(IMAGES, SIZES, SEEDS, st.integers(0, 50), st.sampled_from(["one", "all"]))
def test_the_order_is_a_function_of_seed_and_epoch(
    images: list[list[int]], batch_size: int, seed: int, epoch: int, sentences: str
) -> None:
    data = DataConfig(sentences=sentences)  # type: ignore[arg-type]
    source = CountedSource(images)
    np.random.seed(1)
    first = list(TrainingOrder(source, batch_size, data, seed, epoch))
    np.random.seed(2)
    torch.manual_seed(3)
    assert list(TrainingOrder(source, batch_size, data, seed, epoch)) == first


def test_epochs_and_seeds_differ() -> None:
    source = CountedSource([[3, 3]] * 20)
    orders = [list(TrainingOrder(source, 8, DataConfig(), seed, epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert all(orders[a] != orders[b] for a in range(4) for b in range(a))
    seeds = [group.seed for batch in orders[0] for group in batch]
    assert len(set(seeds)) > len(seeds) // 2


def test_grouped_puts_an_image_s_expressions_together_and_ungrouped_does_not() -> None:
    source = CountedSource([[2, 2]] * 50)
    together = list(TrainingOrder(source, 40, DataConfig(grouped=True, per_image=8), 0, 0))
    apart = list(TrainingOrder(source, 40, DataConfig(grouped=False, per_image=8), 0, 0))
    # 40 expressions are those of 10 images.
    assert [len({group.image for group in batch}) for batch in together] == [10] * 5
    assert all(len(group.positions or ()) == 1 for batch in apart for group in batch)
    assert min(len({group.image for group in batch}) for batch in apart) > 20


def test_an_image_with_many_expressions_is_cut_into_pieces_of_per_image() -> None:
    order = TrainingOrder(CountedSource([[20]]), 6, DataConfig(per_image=8), 0, 0)
    assert sorted(len(positions) for _, positions, _ in order.groups) == [4, 8, 8]
    assert [len(in_batch(batch)) for batch in order] == [6, 6, 6, 2]


def test_a_piece_that_goes_on_in_the_next_batch_keeps_its_chance() -> None:
    first, second = TrainingOrder(CountedSource([[6]]), 4, DataConfig(per_image=8), 0, 0)
    assert first[0].seed == second[0].seed  # mirrored in both or in none


def test_one_sentence_a_referent_is_drawn_anew_each_epoch() -> None:
    source = CountedSource([[5, 1, 3]] * 30)
    drawn = []
    for epoch in range(6):
        pairs = [
            p for batch in TrainingOrder(source, 7, DataConfig(sentences="one"), 0, epoch) for p in in_batch(batch)
        ]
        assert len(pairs) == 90
        referents = Counter((image, 0 if at < 5 else 1 if at == 5 else 2) for image, at in pairs)
        assert set(referents.values()) == {1} and len(referents) == 90
        drawn.append({at for image, at in pairs if image == 0})
    assert len({frozenset(chosen) for chosen in drawn}) > 1
    assert {at for chosen in drawn for at in chosen} > {5}


@QUICK
@given(IMAGES, st.integers(1, 20), SIZES)
def test_only_the_first_images_where_the_settings_say_so(images: list[list[int]], bound: int, batch_size: int) -> None:
    source = CountedSource(images)
    expected = [pair for pair in all_of(source) if pair[0] < bound]
    training = TrainingOrder(source, batch_size, DataConfig(images=bound), 0, 0)
    assert sorted(pair for batch in training for pair in in_batch(batch)) == expected
    assert [pair for batch in evaluation_batches(source, batch_size, bound) for pair in in_batch(batch)] == expected


@QUICK
@given(IMAGES, SIZES)
def test_evaluation_covers_everything_once_and_in_order(images: list[list[int]], batch_size: int) -> None:
    source = CountedSource(images)
    batches = evaluation_batches(source, batch_size)
    assert [pair for batch in batches for pair in in_batch(batch)] == all_of(source)
    assert all(1 <= len(in_batch(batch)) <= batch_size for batch in batches)
    for index in range(len(source)):
        pieces = sum(group.image == index for batch in batches for group in batch)
        assert pieces == -(-sum(images[index]) // batch_size)  # an image is cut only where it does not fit at all


@QUICK
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 500), st.integers(1, 6), SEEDS)
def test_an_endless_order_goes_on_where_it_stopped(
    batch_size: int, per_image: int, start: int, count: int, seed: int
) -> None:
    whole = list(EndlessOrder(batch_size, per_image, start, start + count + 3, seed))
    order = EndlessOrder(batch_size, per_image, start, start + count, seed)
    later = EndlessOrder(batch_size, per_image, start + count, start + count + 3, seed)
    assert [*order, *later] == whole
    assert (len(order), len(later)) == (count, 3)
    images = [group.image for batch in whole for group in batch]
    assert images == list(range(images[0], images[0] + len(images)))  # no image twice, none left out
    next_seed = EndlessOrder(batch_size, per_image, start, start + count, seed + 1)
    other = [group.image for batch in next_seed for group in batch]
    assert not set(images) & set(other) and 0 <= max(images + other) < ENDLESS  # another seed, other images
    most = min(per_image, batch_size)  # a batch is never larger than it should be
    assert all(group.positions is None and group.limit == most for batch in whole for group in batch)


def test_choosing_all_is_a_permutation_and_one_is_one_of_each() -> None:
    groups: Groups = ((0, 1), (2,), (3, 4, 5))
    assert sorted(choose_positions(groups, "all", np.random.default_rng(0))) == [0, 1, 2, 3, 4, 5]
    chosen = sorted(choose_positions(groups, "one", np.random.default_rng(0)))
    assert all(at in group for at, group in zip(chosen, groups, strict=True))


@QUICK
@given(limits=st.lists(st.integers(1, 9), max_size=12), count=st.integers(1, 5))
def test_parts_of_a_batch_hold_whole_groups_and_nearly_as_many_expressions(limits: list[int], count: int) -> None:
    groups = [Group(number, None, limit, 7) for number, limit in enumerate(limits)]
    parts = divide(groups, count)
    assert len(parts) == count and divide(groups, 1) == [groups]
    assert sorted((group for part in parts for group in part), key=lambda group: group.image) == groups
    loads = [sum(group.limit for group in part) for part in parts]
    assert all(part == sorted(part, key=lambda group: group.image) for part in parts)  # in the order of the batch
    assert max(loads) - min(loads) <= max(limits, default=0)
    assert all(loads) or len(groups) < count
