"""Right and wrong examples, of a network whose answers are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from m3att.config import DataConfig, EvaluateConfig, InputConfig, RunConfig
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.engine.evaluate import evaluate
from m3att.engine.scores import Scores
from m3att.errors import ConfigError
from m3att.model.grid import Grid
from m3att.model.network import M3AttNet, ModelOutput
from m3att.pretrained import Pretrained, load_model
from m3att.report import examples
from m3att.report.examples import (
    RIGHT_OVER,
    WRONG_UNDER,
    choose_examples,
    draw_example,
    draw_lots,
    examples_sheet,
    predict_places,
)

SIDE = 16
KINDS = ("all", "half", "none")  # an IoU of 1, of 1/2 and of 0
TOKENIZER = Tokenizer.from_texts(["all half none object"], word_limit=4)
IDS = {kind: TOKENIZER.tokenizer.token_to_id(kind) for kind in KINDS}
CONFIG = RunConfig(input=InputConfig(size=SIDE, resize="stretch"), evaluate=EvaluateConfig(threshold=0.5, batch_size=3))


class SeesRed(nn.Module):
    """Says of "all" that it is where red is, of "half" that it is the upper half of the picture, of "none" nothing."""

    def forward(
        self, pixels_BCHW: Tensor, image_index_N: Tensor, word_ids_NL: Tensor, word_mask_NL: Tensor
    ) -> ModelOutput:
        mask_NHW = (pixels_BCHW[:, 0] > 100)[image_index_N]
        first_N11 = word_ids_NL[:, 0].view(-1, 1, 1)
        upper_HW = torch.arange(SIDE).view(-1, 1) < SIDE // 2
        mask_NHW = mask_NHW & ((first_N11 == IDS["all"]) | ((first_N11 == IDS["half"]) & upper_HW))
        return ModelOutput(mask_NHW.float() * 20 - 10, 1.0, Grid(SIDE, SIDE, 1))


class Stripes(Source):
    """Each image has a red stripe, its referent; image n's expressions are given, and tagged with their first word."""

    def __init__(self, texts: Sequence[Sequence[str]]) -> None:
        self.expressions = texts

    @property
    def pixels(self) -> str:
        return "drawn"

    def __len__(self) -> int:
        return len(self.expressions)

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        # Two referents whose expressions lie in turns, as in RefCOCO: the scores stand in order of position.
        count = len(self.expressions[index])
        return tuple(tuple(range(first, count, 2)) for first in range(min(2, count)))

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        texts = self.expressions[index]
        chosen = tuple(range(len(texts)) if expressions is None else expressions)
        mask_HW: NDArray[np.bool_] = np.zeros((SIDE, SIDE), dtype=bool)
        mask_HW[:, index % 8 : index % 8 + 6] = True
        image_HWC = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
        image_HWC[..., 0] = mask_HW * 200
        words = tuple(texts[at] for at in chosen)
        skills = tuple((text.split()[0],) for text in words)
        return Sample(image_HWC, mask_HW[None], (0,) * len(words), words, chosen, index, skills)

    def texts(self) -> Iterator[str]:
        return (text for texts in self.expressions for text in texts)


MIXED = Stripes([[KINDS[(image + at) % 3] for at in range(1 + image % 5)] for image in range(20)])
MODEL = Pretrained(cast(M3AttNet, SeesRed().eval()), TOKENIZER, CONFIG, "", "stub", Path())


def score(source: Stripes, config: RunConfig = CONFIG) -> Scores:
    return evaluate(MODEL.network, TOKENIZER, source, config.input, config.evaluate, config.data)


def test_right_ones_are_right_and_wrong_ones_wrong_and_each_of_another_image() -> None:
    right, wrong = choose_examples(MIXED, CONFIG, score(MIXED), 9)
    assert (len(right.places), len(wrong.places)) == (5, 4)
    for half, kind, iou in ((right, "all", 1.0), (wrong, "none", 0.0)):
        assert half.total == sum(text == kind for text in MIXED.texts())
        assert len({place.image for place in half.places}) == len(half.places)
        assert list(half.places) == sorted(half.places)
        for place in half.places:
            assert MIXED.expressions[place.image][place.position] == kind
            assert place.iou == iou


def test_the_drawn_mask_is_the_scored_one() -> None:
    for half in choose_examples(MIXED, CONFIG, score(MIXED), 40):
        for place, sample, mask_HW in predict_places(MODEL, MIXED, CONFIG, half.places):
            truth_HW = sample.masks_MHW[sample.mask_index_N[0]]
            assert (mask_HW & truth_HW).sum() / (mask_HW | truth_HW).sum() == place.iou
            assert sample.expressions == (MIXED.expressions[place.image][place.position],)


def test_a_real_network_and_the_loaded_model_agree(tiny_model_folder: Path) -> None:
    """Of a random network nothing is right; what was scored in one batch is what is drawn one by one."""
    model = load_model(tiny_model_folder)
    config = replace(model.config, data=DataConfig(images=6))
    source = Stripes([["the man in red", "a cat", "the dog"]] * 8)
    scores = evaluate(model.network, model.tokenizer, source, config.input, config.evaluate, config.data)
    places = choose_examples(source, config, scores, 12)[1].places
    assert places and max(place.image for place in places) < 6
    for place, sample, mask_HW in predict_places(model, source, config, places):
        iou = np.count_nonzero(mask_HW & sample.masks_MHW[0]) / np.count_nonzero(mask_HW | sample.masks_MHW[0])
        assert iou == pytest.approx(place.iou, abs=0.02)  # a batch of another size rounds otherwise


def test_under_another_protocol_the_shown_masks_have_the_shown_iou() -> None:
    config = replace(CONFIG, evaluate=replace(CONFIG.evaluate, protocol="rela"))
    scores = score(MIXED, config)
    assert scores.headline.name == "rela"
    assert choose_examples(MIXED, config, scores, 9) == choose_examples(MIXED, CONFIG, score(MIXED), 9)


def test_the_same_scores_give_the_same_sheet_whatever_the_batch_size() -> None:
    larger = replace(CONFIG, evaluate=replace(CONFIG.evaluate, batch_size=64))
    first = examples_sheet(MODEL, MIXED, CONFIG, score(MIXED), 2)
    second = examples_sheet(MODEL, MIXED, larger, score(MIXED, larger), 2)
    assert first.tobytes() == second.tobytes()


def test_lots_fall_on_all_images_alike() -> None:
    places = [examples.Place(image, at, 1.0) for image in range(10) for at in range(3)]
    drawn = draw_lots(places, 5)
    assert drawn == draw_lots(places, 5)
    assert [place.image for place in drawn] != list(range(5))
    assert len(draw_lots(places, 50)) == 10
    assert draw_lots([], 5) == ()


@pytest.mark.parametrize(("kind", "title"), [("all", "Right"), ("none", "Wrong")])
def test_a_half_without_examples_is_left_out(kind: str, title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    notes: list[str] = []
    plain = examples.contact_sheet

    def watched(panels, columns, width, title, lines):  # type: ignore[no-untyped-def]
        titles.append(title)
        notes.extend(lines)
        return plain(panels, columns, width, title, lines)

    monkeypatch.setattr(examples, "contact_sheet", watched)
    source = Stripes([[kind, "half"]] * 2)
    examples_sheet(MODEL, source, CONFIG, score(source), 6)
    assert [line.split()[0] for line in titles] == [title]
    assert titles[0].endswith("2 of 2 expressions")
    assert notes == [f"IoU {100.0 if kind == 'all' else 0.0} % ({kind})"] * 2


def test_nothing_right_and_nothing_wrong_is_said() -> None:
    source = Stripes([["half"]] * 2)
    with pytest.raises(ConfigError, match="none of 2 expressions has an IoU over 70 % or under 30 %"):
        examples_sheet(MODEL, source, CONFIG, score(source), 6)
    assert WRONG_UNDER < 0.5 < RIGHT_OVER


def test_the_true_mask_is_outlined_where_the_prediction_is_not() -> None:
    sample = Stripes([["all"]]).read(0)
    drawn_HWC = np.asarray(draw_example(sample, np.zeros((SIDE, SIDE), dtype=bool)))
    white_HW = (drawn_HWC > 150).all(axis=2)
    edge = round(6 / SIDE * drawn_HWC.shape[1])  # the stripe ends there
    assert white_HW[:, edge - 6 : edge + 6].any(axis=1).all()
    assert not white_HW[:, : edge - 8].any() and not white_HW[:, edge + 8 :].any()
