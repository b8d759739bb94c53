"""Chosen answers of a scored model as pictures for a page: masks, and where the words look."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from m3att.attention import attend
from m3att.config import RunConfig
from m3att.data.source import Source
from m3att.errors import ConfigError, ExpressionError
from m3att.pretrained import Pretrained
from m3att.report.answers import Answer
from m3att.report.examples import Place, draw_example, predict_places
from m3att.report.failures import RIGHT
from m3att.report.look import colour_of, lav_picture, val_picture
from m3att.segmenter import Segmenter

SIDE, SMALL = 400, 180  # longer side of a picture and of a map, pixels
QUALITY = 82
MOST_WORDS = 12


class WordMap(NamedTuple):
    """A word with the picture of where it looks, and its colour in the picture of VAL as CSS has it."""

    word: str
    picture: str
    colour: str


class Card(NamedTuple):
    """An answer to be shown.

    Args:
        answer: it.
        picture: its mask on the image, with the outline of the true one, as a data address.
        words: where each word looks (LAV); empty where that is not shown.
        leading: which word each position gives most weight to (VAL), as a data address.
        note: why the words are not shown, where they should be.
    """

    answer: Answer
    picture: str
    words: tuple[WordMap, ...] = ()
    leading: str = ""
    note: str = ""


class Painter(NamedTuple):
    """What is needed to draw answers again.

    Args:
        pretrained: the scored model.
        source: what it was scored on.
        config: how it was scored.
        device: where the network is.
    """

    pretrained: Pretrained
    source: Source
    config: RunConfig
    device: torch.device

    def cards(self, answers: Sequence[Answer], words: bool) -> Iterator[Card]:
        """The answers as cards.

        Args:
            answers: to be drawn.
            words: whether to show where the words look.
        """
        places = [Place(answer.image, answer.position, answer.iou) for answer in answers]
        drawn = predict_places(self.pretrained, self.source, self.config, places, self.device)
        segmenter = Segmenter(self.pretrained, self.device) if words else None
        for answer, (_, sample, mask_HW) in zip(answers, drawn, strict=True):
            card = Card(answer, jpeg(draw_example(sample, mask_HW), SIDE))
            yield card if segmenter is None else look(card, segmenter, sample.image_HWC)


def look(card: Card, segmenter: Segmenter, image_HWC: NDArray[np.uint8]) -> Card:
    """The card with pictures of where its words look in the last layer.

    Args:
        card: of an answer.
        segmenter: of the model.
        image_HWC: RGB uint8.
    """
    try:
        attention = attend(segmenter.encode(image_HWC), card.answer.expression)
    except (ConfigError, ExpressionError) as error:
        return card._replace(note=str(error))
    words = tuple(
        WordMap(word, jpeg(lav_picture(image_HWC, attention, at, SMALL)), "rgb({}, {}, {})".format(*colour_of(at)))
        for at, word in enumerate(attention.words[:MOST_WORDS])
    )
    return card._replace(words=words, leading=jpeg(val_picture(image_HWC, attention, SIDE)))


def jpeg(picture: Image.Image, side: int | None = None) -> str:
    """A picture as an address that holds its content.

    Args:
        picture: RGB.
        side: its longer side is shrunk to this.
    """
    if side is not None and max(picture.size) > side:
        picture = picture.copy()
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    content = BytesIO()
    picture.save(content, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + b64encode(content.getvalue()).decode()


def best_median_worst(answers: Sequence[Answer], count: int) -> dict[str, list[Answer]]:
    """The best, the median and the worst answers, of different images as far as there are enough.

    Args:
        answers: of a model.
        count: of each kind.
    """
    ordered = sorted(answers, key=lambda answer: (-answer.iou, answer.image, answer.position))
    middle = ordered[len(ordered) // 2].iou if ordered else 0.0
    nearest = sorted(ordered, key=lambda answer: (abs(answer.iou - middle), answer.image, answer.position))
    return {
        "best": spread_out(ordered, count),
        "median": spread_out(nearest, count),
        "worst": spread_out(ordered[::-1], count),
    }


def failures_by_kind(answers: Sequence[Answer], count: int) -> dict[str, list[Answer]]:
    """Some failures of each kind, the most frequent kind first; evenly spaced over the answers of the kind.

    Args:
        answers: of a model.
        count: of each kind.
    """
    of_kind: dict[str, list[Answer]] = {}
    for answer in answers:
        if answer.kind != RIGHT:
            of_kind.setdefault(answer.kind, []).append(answer)
    chosen = {}
    for kind, every in sorted(of_kind.items(), key=lambda pair: -len(pair[1])):
        step = max(1, len(every) // count)
        chosen[kind] = spread_out([*every[::step], *every], count)
    return chosen


def spread_out(answers: Sequence[Answer], count: int) -> list[Answer]:
    """The first ``count`` answers, first those of images that were not met before."""
    met: set[int] = set()
    first: list[Answer] = []
    rest: list[Answer] = []
    for answer in {(answer.image, answer.position): answer for answer in answers}.values():
        (rest if answer.image_id in met else first).append(answer)
        met.add(answer.image_id)  # several data sets may show the same image
    return [*first, *rest][:count]
