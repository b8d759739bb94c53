"""What a worker does with a batch, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from m3att.backends.pytorch import TorchBackend
from m3att.serve.desk import Desk
from m3att.serve.limits import Limits
from m3att.serve.tasks import Answer, Task

from .running import picture_file

WORDS = ("the man in red", "a cat")


@pytest.fixture(scope="module")
def folder(tiny_model_folder: Path) -> str:
    return str(tiny_model_folder)


class Counter:
    """Counts what goes through the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.images: list[int] = []
        self.expressions: list[int] = []
        encode, segment = TorchBackend.encode, TorchBackend.segment

        def count_images(backend: TorchBackend, squares_BHWC: Any) -> Any:
            self.images.append(len(squares_BHWC))
            return encode(backend, squares_BHWC)

        def count_expressions(backend: TorchBackend, features: Any, ids: Any, mask: Any) -> Any:
            self.expressions.append(len(ids))
            return segment(backend, features, ids, mask)

        monkeypatch.setattr(TorchBackend, "encode", count_images)
        monkeypatch.setattr(TorchBackend, "segment", count_expressions)


def task(number: int, seed: int, *expressions: str, **values: Any) -> Task:
    content = picture_file(seed=seed)
    return Task(number, values.pop("kind", "segment"), "tiny", str(seed), content, expressions, **values)


def answers(desk: Desk, *tasks: Task) -> list[Answer]:
    found = {answer.number: answer for answer in desk.answers(tasks)}
    return [found[one.number] for one in tasks]


def test_a_batch_encodes_each_image_once_and_reads_equal_expressions_once(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, counter = Desk({"tiny": folder}, "cpu", "auto", Limits()), Counter(monkeypatch)
    batch = [
        task(0, 1, *WORDS),
        task(1, 1, WORDS[0], forms=("polygons",)),
        task(2, 2, WORDS[1]),
        task(3, 1, WORDS[0], threshold=0.9),
        task(4, 2, kind="encode"),
    ]
    first = answers(desk, *batch)
    assert counter.images == [2]  # two images, together
    assert sorted(counter.expressions) == [1, 1, 2]  # image 1, at its own threshold and at 0.9, and image 2
    assert (desk.hits, desk.misses) == (3, 2)
    assert [answer.values["cached"] for answer in first] == [False] * 5
    rle, polygons = first[0].values["results"][0], first[1].values["results"][0]
    assert rle["rle"] and "polygons" not in rle and polygons["polygons"] and "rle" not in polygons
    assert first[3].values["results"][0]["area"] < rle["area"]
    again = answers(desk, *batch)
    assert counter.images == [2] and all(answer.values["cached"] for answer in again)
    assert [answer.values.get("results") for answer in again] == [answer.values.get("results") for answer in first]


def test_a_bad_image_costs_only_its_own_task(folder: str) -> None:
    desk = Desk({"tiny": folder}, "cpu", "auto", Limits(megapixels=0.0024))
    broken = Task(1, "segment", "tiny", "x", picture_file()[:200], WORDS)
    large = Task(2, "segment", "tiny", "y", picture_file(40, 61), WORDS)
    found = answers(desk, task(0, 1, *WORDS), broken, large, task(3, 2, "zyx"))
    assert [answer.code for answer in found] == ["", "not_an_image", "too_many_pixels", ""]
    assert "61 x 40" in found[2].message
    assert "none of its words" in found[3].values["results"][0]["error"]


def test_the_cache_is_bounded(folder: str) -> None:
    desk = Desk({"tiny": folder}, "cpu", "auto", Limits(cache=0.1))
    for seed in range(20):
        answers(desk, task(0, seed, WORDS[0]))
    assert 1 < len(desk.scenes) < 20 and desk.scenes.bytes <= 100_000
    assert answers(desk, task(0, 19, kind="encode"))[0].values["cached"]
    assert not answers(desk, task(0, 0, kind="encode"))[0].values["cached"]
