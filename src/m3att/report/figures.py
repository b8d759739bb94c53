"""Figures 7 to 10 of the paper, drawn of a scored model: each a sheet with the panels of the paper's.

The paper chose its examples by hand. Here a rule chooses them, so that nobody can pick the best-looking ones; the title
of a figure says the rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from m3att.attention import attend
from m3att.data.sample import Sample
from m3att.errors import ConfigError, ExpressionError
from m3att.overlay import BACKGROUND, TEXT, draw_overlay, line_height, wrap, write_lines
from m3att.report.answers import Answer
from m3att.report.examples import Place, predict_places
from m3att.report.failures import HALF, KINDS, RIGHT
from m3att.report.gallery import contact_sheet, stack_sheets
from m3att.report.look import colour_of, lav_picture, val_picture
from m3att.report.pictures import Painter, failures_by_kind, spread_out
from m3att.segmenter import Segmenter

PANEL = 360  # pixels
LONG = 10  # words; the examples of Fig. 8 have more
WORDS = 3  # maps of LAV in a row
TARGETS = 3  # of an image
Panel = tuple[Image.Image, str]


class Model(NamedTuple):
    """A scored model that can draw.

    Args:
        name: of the model.
        painter: draws its answers again.
        answers: all of them.
    """

    name: str
    painter: Painter
    answers: Sequence[Answer]


def figure_7(baseline: Model, ours: Model, rows: int) -> Image.Image:
    """Image, answer of a baseline, answer of ours: where ours is right and the baseline is not.

    Paper: Fig. 7, with a generic transformer in place of M3Dec and without IMI and LFR as the baseline.

    Args:
        baseline: its model.
        ours: the other model, scored on the same expressions.
        rows: most examples.

    Raises:
        ConfigError: where there is no such expression, or the two were scored on others.
    """
    before = {(answer.image_id, answer.expression_id): answer for answer in baseline.answers}
    if before.keys() != {(answer.image_id, answer.expression_id) for answer in ours.answers}:
        raise ConfigError("the two models were not scored on the same expressions")
    better = [
        answer for answer in ours.answers if answer.iou > HALF >= before[answer.image_id, answer.expression_id].iou
    ]
    if not better:
        raise ConfigError(f"figure 7: there is no expression that {ours.name} has right and {baseline.name} wrong")
    better.sort(key=lambda one: before[one.image_id, one.expression_id].iou - one.iou)
    chosen = spread_out(better, rows)
    earlier = [before[answer.image_id, answer.expression_id] for answer in chosen]
    sheets = []
    drawn = zip(chosen, masks_of(ours, chosen), masks_of(baseline, earlier), earlier, strict=True)
    for answer, (sample, mask_HW), (_, other_HW), first in drawn:
        panels = [
            (Image.fromarray(sample.image_HWC), answer.expression),
            (draw_overlay(sample.image_HWC, other_HW), f"Baseline: {baseline.name}"),
            (draw_overlay(sample.image_HWC, mask_HW), f"Ours: {ours.name}"),
        ]
        sheets.append(sheet(panels, ["Image", f"IoU {100 * first.iou:.0f} %", f"IoU {100 * answer.iou:.0f} %"]))
    rule = f"{len(better)} of {len(ours.answers)} expressions are right here and wrong there; the largest gains"
    return titled(sheets, f"Figure 7. {rule}")


def figure_8(model: Model, rows: int, attention: bool) -> Image.Image:
    """Image, prediction and ground truth of long expressions that the model has right.

    Paper: Fig. 8, of expressions with more than 10 words.

    Args:
        model: the scored model.
        rows: most examples.
        attention: also show where the words look.

    Raises:
        ConfigError: where the model has nothing right.
    """
    right = sorted((one for one in model.answers if one.kind == RIGHT), key=lambda one: -len(one.expression.split()))
    if not right:
        raise ConfigError(f"figure 8: {model.name} has no expression right")
    long = sum(len(one.expression.split()) > LONG for one in right)
    rule = f"The longest expressions that {model.name} has right; {long} have more than {LONG} words"
    return titled(rows_of(model, spread_out(right, rows), "Prediction", attention), f"Figure 8. {rule}")


def figure_9(model: Model, rows: int, attention: bool) -> Image.Image:
    """Different targets in one image.

    Paper: Fig. 9.

    Args:
        model: the scored model.
        rows: most images.
        attention: also show where the words look.

    Raises:
        ConfigError: where no image has two expressions of different masks that the model has right.
    """
    of_image: dict[int, list[Answer]] = {}
    for answer in model.answers:
        if answer.kind == RIGHT:
            of_image.setdefault(answer.image, []).append(answer)
    sheets: list[Image.Image] = []
    images = 0
    for every in sorted(of_image.values(), key=lambda found: (-len(found), found[0].image)):
        if images == rows:
            break
        different = unlike(model, every)
        if len(different) > 1:
            images += 1
            image = Image.fromarray(different[0][1])
            panels = [(image, "Image"), *((draw_overlay(*one[1:]), one[0].expression) for one in different)]
            notes = ["", *(f"IoU {100 * one[0].iou:.0f} %" for one in different)]
            sheets.append(sheet(panels, notes))
            if attention:
                sheets += [look_row(model, answer, image_HWC) for answer, image_HWC, _ in different]
    if not sheets:
        raise ConfigError(f"figure 9: in no image has {model.name} two different objects right")
    return titled(sheets, f"Figure 9. Different targets in one image, found by {model.name}")


def figure_10(model: Model, rows: int) -> Image.Image:
    """Image, ground truth and failure, sorted by kind.

    Paper: Fig. 10.

    Args:
        model: the scored model.
        rows: most examples of a kind.

    Raises:
        ConfigError: where the model has no failure.
    """
    kinds = failures_by_kind(model.answers, rows)
    if not kinds:
        raise ConfigError(f"figure 10: {model.name} has no failure")
    sheets = []
    for kind, chosen in kinds.items():
        count = sum(answer.kind == kind for answer in model.answers)
        title = f"{kind}: {KINDS[kind]} ({count} of {len(model.answers)})"
        sheets += rows_of(model, chosen, "Failure", False, title)
    return titled(sheets, f"Figure 10. Failures of {model.name} by kind, the most frequent first")


def rows_of(model: Model, chosen: Sequence[Answer], label: str, attention: bool, title: str = "") -> list[Image.Image]:
    """Sheets of one row: image, answer and ground truth.

    Args:
        model: that answered.
        chosen: its answers.
        label: of the answer's panel.
        attention: a second row shows where the words look.
        title: over the first row.
    """
    sheets = []
    for number, (answer, (sample, mask_HW)) in enumerate(zip(chosen, masks_of(model, chosen), strict=True)):
        truth_HW = sample.masks_MHW[sample.mask_index_N[0]]
        panels = [
            (Image.fromarray(sample.image_HWC), answer.expression),
            (draw_overlay(sample.image_HWC, mask_HW), label),
            (draw_overlay(sample.image_HWC, truth_HW), "Ground truth"),
        ]
        notes = ["Image", f"IoU {100 * answer.iou:.0f} %, {answer.kind}", ""]
        sheets.append(sheet(panels, notes, "" if number else title))
        if attention:
            sheets.append(look_row(model, answer, sample.image_HWC))
    return sheets


def look_row(model: Model, answer: Answer, image_HWC: NDArray[np.uint8]) -> Image.Image:
    """A sheet of one row that shows where the words look in the last layer: VAL, and LAV of the words it leads with.

    Args:
        model: that answered.
        answer: its answer.
        image_HWC: RGB uint8.

    Raises:
        ConfigError: where the model's words do not look at positions, or it knows none of them.
    """
    try:
        segmenter = Segmenter(model.painter.pretrained, model.painter.device)
        attention = attend(segmenter.encode(image_HWC), answer.expression)
    except ExpressionError as error:
        raise ConfigError(f"--attention: {error}") from error
    # The words whose LAV is least even over the positions: those that look somewhere.
    sharp = np.argsort([-float(map_HW.max()) for map_HW in attention.lav], kind="stable")[:WORDS]
    leading = stack_sheets([val_picture(image_HWC, attention, PANEL), word_colours(attention.words)])
    panels: list[Panel] = [(leading, "VAL: the word that leads at each position")]
    panels += [
        (lav_picture(image_HWC, attention, word, PANEL), f"LAV: {attention.words[word]}") for word in sorted(sharp)
    ]
    return sheet(panels, [answer.expression] + [""] * (len(panels) - 1))


def word_colours(words: Sequence[str]) -> Image.Image:
    """A strip as wide as a panel with each word in its colour of `val_picture`."""
    font, gap = ImageFont.load_default(PANEL // 20), PANEL // 45
    step = line_height(font)
    corners, x, y = [], gap, gap
    for word in words:
        width = round(font.getlength(word))
        if x + width > PANEL - gap and x > gap:
            x, y = gap, y + step
        corners.append((x, y))
        x += width + 2 * gap
    strip = Image.new("RGB", (PANEL, y + step + gap), BACKGROUND)
    pen = ImageDraw.Draw(strip)
    for number, (word, corner) in enumerate(zip(words, corners, strict=True)):
        pen.text(corner, word, fill=colour_of(number), font=font)
    return strip


def masks_of(model: Model, chosen: Sequence[Answer]) -> list[tuple[Sample, NDArray[np.bool_]]]:
    """The sample of each answer, of its expression alone, and its mask (H, W), predicted again."""
    places = [Place(answer.image, answer.position, answer.iou) for answer in chosen]
    pretrained, source, config, device = model.painter
    return [(sample, mask_HW) for _, sample, mask_HW in predict_places(pretrained, source, config, places, device)]


def unlike(model: Model, answers: Sequence[Answer]) -> list[tuple[Answer, NDArray[np.uint8], NDArray[np.bool_]]]:
    """At most three answers on one image whose true masks differ, each with the image (H, W, 3) and its mask (H, W)."""
    found: list[tuple[Answer, NDArray[np.uint8], NDArray[np.bool_]]] = []
    truths: list[NDArray[np.bool_]] = []
    for answer, (sample, mask_HW) in zip(answers, masks_of(model, answers), strict=True):
        truth_HW = sample.masks_MHW[sample.mask_index_N[0]]
        if len(found) < TARGETS and not any((truth_HW == other_HW).all() for other_HW in truths):
            truths.append(truth_HW)
            found.append((answer, sample.image_HWC, mask_HW))
    return found


def sheet(panels: Sequence[Panel], notes: Sequence[str], title: str = "") -> Image.Image:
    """Panels in one row.

    Args:
        panels: pictures with captions.
        notes: a fainter line each.
        title: over the row.
    """
    return contact_sheet(panels, len(panels), PANEL, title, notes)


def titled(sheets: Sequence[Image.Image], title: str) -> Image.Image:
    """Sheets beneath each other under a title."""
    width = max(one.width for one in sheets)
    font, gap = ImageFont.load_default(PANEL // 17), PANEL // 20
    lines = wrap(title, font, width - 2 * gap, 4)
    strip = Image.new("RGB", (width, gap + len(lines) * line_height(font)), BACKGROUND)
    write_lines(ImageDraw.Draw(strip), lines, (gap, gap), font, TEXT)
    return stack_sheets([strip, *sheets])
