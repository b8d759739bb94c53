"""The call in the style of transformers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from m3att import Segmenter, pipeline
from m3att.errors import ExpressionError
from m3att.pipelines import Pipeline

MAN, DOG = "the man in red", "the dog that is not black"


@pytest.fixture(scope="module")
def find(tiny_model_folder: Path) -> Pipeline:
    return pipeline(tiny_model_folder, device="cpu", batch_size=2)


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    return [np.random.default_rng(seed).integers(0, 256, (20 + seed, 30, 3), dtype=np.uint8) for seed in range(3)]


def test_one_image_gives_an_entry_a_text(
    find: Pipeline, images: list[NDArray[np.uint8]], tiny_model_folder: Path
) -> None:
    entries = find(images[0], [MAN, DOG])
    expected = Segmenter.from_pretrained(tiny_model_folder, "cpu").encode(images[0]).segment([MAN, DOG])
    for entry, prediction in zip(entries, expected, strict=True):
        assert set(entry) == {"score", "label", "mask", "box"}
        assert entry["label"] == prediction.expression
        assert entry["score"] == pytest.approx(prediction.score, abs=1e-5)
        assert np.array_equal(np.asarray(entry["mask"]) == 255, prediction.mask)
        assert tuple(entry["box"][side] for side in ("xmin", "ymin", "xmax", "ymax")) == prediction.box
    assert find(images[0], MAN)[0]["label"] == MAN
    assert find(images[0], MAN, threshold=0.99)[0]["box"] is None


def test_several_images_give_a_list_each(find: Pipeline, images: list[NDArray[np.uint8]]) -> None:
    several = find(images, [MAN, DOG])
    assert [len(found) for found in several] == [2, 2, 2]
    for image, found in zip(images, several, strict=True):
        assert found[0]["mask"].size == image.shape[1::-1]
        (alone,) = find(image, DOG)
        assert np.mean(np.asarray(alone["mask"]) != np.asarray(found[1]["mask"])) < 0.01
    assert find([], MAN) == []


def test_a_stream_takes_images_as_it_goes(find: Pipeline, images: list[NDArray[np.uint8]]) -> None:
    taken: list[int] = []

    def give() -> Iterator[NDArray[np.uint8]]:
        for number in range(100):
            taken.append(number)
            yield images[number % 3]

    next(find.stream(give(), MAN))
    assert taken == [0, 1]


def test_a_bad_text_is_refused(find: Pipeline, images: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(ExpressionError):
        find(images[0], "?")
