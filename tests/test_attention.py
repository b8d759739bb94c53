"""Where the words look: against the softmaxes of Eq. 2a and 2b, written as loops over A_mut of Eq. 1."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from m3att.attention import attend, can_attend
from m3att.errors import ConfigError, ExpressionError
from m3att.segmenter import Segmenter

TEXT = "the dog  that is NOT black"


@pytest.fixture(scope="module")
def segmenter(tiny_model_folder: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model_folder, "cpu")


def image(height: int = 30, width: int = 50) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("layer", [0, 1, -1])
def test_weights_are_the_softmaxes_of_a_mut(segmenter: Segmenter, layer: int) -> None:
    scene = segmenter.encode(image())
    told = attend(scene, TEXT, layer)
    words = segmenter.tokenizer([TEXT])
    with torch.inference_mode():
        output = segmenter.network.segment(
            scene.features, torch.zeros(1, dtype=torch.int64), words.word_ids_NL, words.word_mask_NL, reconstruct=True
        )
    mutual = output.attention_NKLP[layer][0].tolist()
    heads, count, positions = len(mutual), len(mutual[0]), len(mutual[0][0])
    assert (told.layer, told.layers) == (layer % 2, 2)
    assert told.lav.shape == told.val.shape == (6, *output.grid.cells) and count == 6
    for word in range(count):
        for position in range(positions):
            lav = val = 0.0
            for head in mutual:
                lav += math.exp(head[word][position]) / sum(map(math.exp, head[word])) / heads
                val += math.exp(head[word][position]) / sum(math.exp(row[position]) for row in head) / heads
            at = divmod(position, output.grid.cells[1])
            assert told.lav[word][at] == pytest.approx(lav, abs=1e-5)
            assert told.val[word][at] == pytest.approx(val, abs=1e-5)
    assert told.padding == pytest.approx(0, abs=1e-6)


def test_words_are_written_as_the_user_wrote_them(segmenter: Segmenter) -> None:
    scene = segmenter.encode(image())
    assert attend(scene, TEXT).words == ("the", "dog", "that", "is", "NOT", "black")
    assert attend(scene, "the dog " * 9).words == ("the", "dog") * 4  # eight words are read


def test_the_region_is_where_the_image_lies(segmenter: Segmenter) -> None:
    told = attend(segmenter.encode(image(32, 64)), TEXT)
    rows, columns = told.lav.shape[1:]
    assert told.region == (0, rows / 4, columns, rows / 2)


def test_a_model_that_reads_padding_says_how_much_it_gets() -> None:
    segmenter = Segmenter.from_pretrained("shaperef-tiny", "cpu")
    assert not segmenter.pretrained.config.model.mask_padding
    told = attend(segmenter.encode(image()), "the red ball")
    assert told.lav.shape[0] == 3
    assert (told.val.sum(axis=0) + told.padding) == pytest.approx(1, abs=1e-5)
    assert told.padding.min() > 0


def test_what_cannot_be_told_is_refused(segmenter: Segmenter) -> None:
    scene = segmenter.encode(image())
    with pytest.raises(ConfigError, match="layer 2: the model has 2 decoder layers, give 0 to 1"):
        attend(scene, TEXT, 2)
    with pytest.raises(ExpressionError):
        attend(scene, "zyx")
    assert can_attend(segmenter.backend) and not can_attend(object())
