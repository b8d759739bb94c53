"""The minimal example of what M3Att tells: its questions have one answer each, and its modules are what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture(scope="module")
def minimal(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("minimal", repository / "benchmarks" / "minimal.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("words", [1, 2, 6])
def test_one_word_names_one_object_and_the_others_none(minimal: ModuleType, words: int) -> None:
    asked = minimal.draw(words, torch.Generator().manual_seed(0))
    assert asked.word_ids_BL.shape == (minimal.BATCH, words)
    for kinds, colours, ids, colour, cell in zip(*(part.tolist() for part in asked), strict=True):
        named, *others = ids
        assert [place for place, kind in enumerate(kinds) if kind == named] == [cell]
        assert colours[cell] - 1 == colour and 0 <= colour < minimal.COLOURS
        assert sum(kind > 0 for kind in kinds) == sum(one > 0 for one in colours) == minimal.OBJECTS
        assert min(others, default=minimal.KINDS + 1) > minimal.KINDS


def test_of_one_word_m3att_hands_on_one_number_and_with_empty_words_more(minimal: ModuleType) -> None:
    torch.manual_seed(0)
    asked = minimal.draw(1, torch.Generator().manual_seed(0))
    asked = asked._replace(word_ids_BL=torch.full_like(asked.word_ids_BL, 3))  # one word about many images
    ranks = {}
    for name in ("M3Att", "M3Att and empty words", "LAV alone"):
        network, seen = minimal.Answerer("empty" in name, minimal.ROWS[name]).double().eval(), []
        network.read.register_forward_pre_hook(lambda _module, given, kept=seen: kept.append(given[0]))
        network(asked)
        moving_BC = seen[0] - seen[0].mean(dim=0)
        ranks[name] = int(torch.linalg.matrix_rank(moving_BC, atol=1e-9))
    assert ranks["M3Att"] == 1
    assert ranks["M3Att and empty words"] > 5 and ranks["LAV alone"] > 5
