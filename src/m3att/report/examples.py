"""Right and wrong examples of a scored model on one sheet, chosen at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from m3att.config import RunConfig
from m3att.data.batch import BatchReader
from m3att.data.order import Group, evaluation_batches
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.data.spelling import SpellingTokenizer
from m3att.engine.scores import Scores
from m3att.errors import ConfigError, counted
from m3att.overlay import (
    BACKGROUND,
    FAINT,
    TEXT,
    draw_overlay,
    line_height,
    mask_field,
    soft,
    wrap,
    write_lines,
)
from m3att.pretrained import Pretrained
from m3att.regions import mask_over
from m3att.report.gallery import contact_sheet, stack_sheets
from m3att.report.tables import scores_heading

RIGHT_OVER, WRONG_UNDER = 0.7, 0.3  # IoU; examples between these are neither
CHANCE = 0  # the seed: the same scores give the same examples
PANEL = 480  # width in pixels
TRUTH = (255, 255, 255)  # none of the overlay's accents


class Place(NamedTuple):
    """Where a scored expression stands.

    Args:
        image: number of the image in its source.
        position: of the expression among the image's.
        iou: that it was scored with, in [0, 1].
    """

    image: int
    position: int
    iou: float


@dataclass(frozen=True)
class Half:
    """The examples of one kind.

    Args:
        title: what they have in common.
        places: those that were drawn, in the order of the images.
        total: how many expressions of the kind there are.
    """

    title: str
    places: tuple[Place, ...]
    total: int


def examples_sheet(
    pretrained: Pretrained,
    source: Source,
    config: RunConfig,
    scores: Scores,
    size: int,
    device: torch.device | None = None,
) -> Image.Image:
    """Draw right examples above wrong ones: predicted mask, outline of the true one, expression, IoU and skills.

    Only the drawn expressions go through the network again; no prediction is kept while scoring.

    Args:
        pretrained: the model that was scored.
        source: what it was scored on.
        config: how it was scored: ``input``, ``data`` and ``evaluate`` count.
        scores: what ``evaluate`` found with these.
        size: most examples, half of them right and half wrong.
        device: where the network is.

    Returns:
        An RGB picture.

    Raises:
        ConfigError: where no expression is right and none is wrong.
    """
    halves = [half for half in choose_examples(source, config, scores, size) if half.places]
    if not halves:
        raise ConfigError(
            f"no gallery: none of {counted(len(scores.expressions), 'expression')} has an IoU over "
            f"{100 * RIGHT_OVER:.0f} % or under {100 * WRONG_UNDER:.0f} %; score more images"
        )
    most = max(len(half.places) for half in halves)
    columns = min(most, 4 if -(-most // 4) < -(-most // 3) else 3)
    sheets = []
    for half in halves:
        panels: list[tuple[Image.Image, str]] = []
        notes: list[str] = []
        for place, sample, mask_HW in predict_places(pretrained, source, config, half.places, device):
            panels.append((draw_example(sample, mask_HW), sample.expressions[0]))
            skills = f" ({', '.join(sample.skills[0])})" if sample.skills[0] else ""
            notes.append(f"IoU {100 * place.iou:.1f} %{skills}")
        title = f"{half.title}: {len(half.places)} of {counted(half.total, 'expression')}"
        sheets.append(contact_sheet(panels, columns, PANEL, title, notes))
    width = max(sheet.width for sheet in sheets)
    return stack_sheets([legend(scores, pretrained.name, width), *sheets])


def choose_examples(source: Source, config: RunConfig, scores: Scores, size: int) -> tuple[Half, Half]:
    """Draw right and wrong expressions by a fixed seed, at most one of an image in each half.

    Args:
        source: what was scored.
        config: how it was scored.
        scores: their counts stand in the order of `evaluation_batches`.
        size: most examples of both halves together; the right half gets the odd one.
    """
    batches = evaluation_batches(source, config.evaluate.batch_size, config.data.images)
    scored = [(group.image, at) for batch in batches for group in batch for at in group.positions or ()]
    iou_N = scores.iou_N(scores.shown)
    left_out = {(fault.image, at) for fault in scores.left_out for at in fault.positions}
    left_out |= {(box.image, box.position) for box in scores.boxes}  # nobody knows whether their masks are right
    scored = [place for place in scored if place not in left_out]
    places = [Place(image, at, float(value)) for (image, at), value in zip(scored, iou_N, strict=True)]
    right = [place for place in places if place.iou > RIGHT_OVER]
    wrong = [place for place in places if place.iou < WRONG_UNDER]
    return (
        Half(f"Right (IoU over {100 * RIGHT_OVER:.0f} %)", draw_lots(right, size - size // 2), len(right)),
        Half(f"Wrong (IoU under {100 * WRONG_UNDER:.0f} %)", draw_lots(wrong, size // 2), len(wrong)),
    )


def draw_lots(places: Sequence[Place], count: int) -> tuple[Place, ...]:
    """At most ``count`` places of as many images, in the order of the images."""
    drawn: dict[int, Place] = {}
    for number in np.random.default_rng(CHANCE).permutation(len(places)):
        if len(drawn) == count:
            break
        drawn.setdefault(places[number].image, places[number])
    return tuple(sorted(drawn.values()))


def predict_places(
    pretrained: Pretrained,
    source: Source,
    config: RunConfig,
    places: Sequence[Place],
    device: torch.device | None = None,
) -> Iterator[tuple[Place, Sample, NDArray[np.bool_]]]:
    """Each place with its sample of one expression, and the mask predicted for it as scoring makes it (H, W).

    Args:
        pretrained: the model.
        source: that the places are of.
        config: input and threshold.
        places: an image and one of its expressions each.
        device: where the network is; None: the CPU.
    """
    device = device or torch.device("cpu")
    exact = pretrained.tokenizer
    tokenizer = SpellingTokenizer(exact) if config.evaluate.nearest_spelling else exact
    reader = BatchReader(source, tokenizer, config.input, config.data, training=False)
    network = pretrained.network
    for place in places:
        batch = reader[[Group(place.image, (place.position,), 1, 0)]]
        moved = batch.to(device)
        with torch.inference_mode():
            output = network(moved.pixels_BCHW, moved.image_index_N, moved.word_ids_NL, moved.word_mask_NL)
            logits_NHW = output.mask_logits_NHW.float().cpu()
            probability_NHW = batch.resizes[0].probability(logits_NHW, output.mask_stride)
        yield place, batch.samples[0], mask_over(probability_NHW[0], config.evaluate.threshold, config.evaluate.region)


def draw_example(sample: Sample, mask_HW: NDArray[np.bool_]) -> Image.Image:
    """The predicted mask on the image, and the outline of the true mask of the first expression."""
    picture = draw_overlay(sample.image_HWC, mask_HW)
    size = (picture.height, picture.width)
    field_HW, _ = mask_field(sample.masks_MHW[sample.mask_index_N[0]], size)
    away_HW: NDArray[np.float32] = np.abs(field_HW)
    pixel = max(size) / PANEL  # of the sheet, in pixels of the picture
    line_HW1 = soft(0.85 * pixel - away_HW, size)
    casing_HW1 = soft(1.85 * pixel - away_HW, size) * 0.6
    painted_HWC = np.asarray(picture, dtype=np.float32) * (1 - casing_HW1)
    painted_HWC += line_HW1 * (np.asarray(TRUTH, dtype=np.float32) - painted_HWC)
    return Image.fromarray(painted_HWC.round().clip(0, 255).astype(np.uint8))


def legend(scores: Scores, name: str, width: int) -> Image.Image:
    """A strip that says what the sheet shows.

    Args:
        scores: of the sheet.
        name: of the model.
        width: in pixels.
    """
    gap = PANEL // 20
    font, small = ImageFont.load_default(PANEL // 18), ImageFont.load_default(PANEL // 24)
    text = "Coloured: the predicted mask.  White outline: the true one.  Examples drawn at random."
    model = "/".join(Path(name).parts[-2:])  # the folder of the runs tells readers nothing
    mean_iou = scores.figures(scores.shown)["mean_iou"]
    figures = f"threshold {scores.shown.threshold:g}: mean IoU {100 * mean_iou:.1f} %"
    heading = f"{model}: {scores_heading({**scores.to_dict(), 'protocol': scores.shown.name})}; {figures}"
    lines, more = wrap(text, font, width - 2 * gap, 3), wrap(heading, small, width - 2 * gap, 4)
    height = gap + len(lines) * line_height(font) + len(more) * line_height(small)
    strip = Image.new("RGB", (width, height), BACKGROUND)
    pen = ImageDraw.Draw(strip)
    below = write_lines(pen, lines, (gap, gap), font, TEXT)
    write_lines(pen, more, (gap, below), small, FAINT)
    return strip
