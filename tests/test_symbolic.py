"""The comparison on scenes of symbols: its expressions have one answer each; its networks are what they are called."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest
import torch

from m3att.model.generic import GenericLayer
from m3att.model.m3dec import M3DecLayer


@pytest.fixture(scope="module")
def symbolic(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("symbolic", repository / "benchmarks" / "symbolic.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_expression_has_one_answer(symbolic: ModuleType) -> None:
    scenes = symbolic.draw(random.Random(0))
    sorts = set()
    for kinds, colours, (word, named), cell, compares in zip(*(part.tolist() for part in scenes), strict=True):
        kind = named - symbolic.COLOURS - symbolic.DIRECTIONS
        alike = [place for place in range(symbolic.CELLS) if kinds[place] == kind]
        sorts.add(compares)
        if not compares:
            assert [place for place in alike if colours[place] == word] == [cell]
            continue
        direction = word - 1 - symbolic.COLOURS
        along = [(place % 4, 3 - place % 4, place // 4, 3 - place // 4)[direction] for place in alike]
        assert len(alike) > 1 and sorted(along)[0] < sorted(along)[1]
        assert alike[along.index(min(along))] == cell
    assert sorts == {True, False}


def test_all_rows_of_a_seed_see_the_same_scenes(symbolic: ModuleType) -> None:
    first, second = (symbolic.draw(random.Random(5)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize(
    ("name", "kind"), [("M3Att", M3DecLayer), ("generic attention", GenericLayer), ("M3Att and LAV", M3DecLayer)]
)
def test_a_row_is_the_network_that_it_names(symbolic: ModuleType, name: str, kind: type) -> None:
    network = symbolic.Network(symbolic.ROWS[name]).eval()
    assert all(isinstance(layer, kind) for layer in network.decoder.layers) and len(network.decoder.layers) == 2
    scenes = symbolic.draw(random.Random(0))
    assert network(scenes).shape == (symbolic.BATCH, symbolic.CELLS)


def test_differences_are_taken_seed_by_seed(symbolic: ModuleType) -> None:
    own, first = {"all": [0.5, 0.7, 0.6]}, {"all": [0.4, 0.6, 0.5]}
    found = symbolic.differences(own, first)["all"]
    assert found["mean"] == pytest.approx(0.1) and found["interval"] == pytest.approx((0.1, 0.1))
