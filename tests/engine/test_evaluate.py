"""Scoring, on networks whose answers are known, so that every figure can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from m3att.config import DataConfig, EvaluateConfig, InputConfig, RunConfig
from m3att.data.masks import draw
from m3att.data.open import open_source
from m3att.data.sample import Sample
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.engine.evaluate import evaluate, evaluate_largest
from m3att.engine.scores import Scores
from m3att.metrics import MaskCounts
from m3att.model.build import build_network
from m3att.model.grid import Grid
from m3att.model.network import M3AttNet, ModelOutput
from m3att.protocols import ORIGINAL, PROTOCOLS
from m3att.report.tables import scores_heading

TOKENIZER = Tokenizer.from_texts(["seen flat never object"], word_limit=4)
SEEN, FLAT, NEVER = (TOKENIZER.tokenizer.token_to_id(word) for word in ("seen", "flat", "never"))
STRETCH = InputConfig(size=8, resize="stretch")
LETTERBOX = InputConfig(size=8, resize="letterbox")
SEEN_LOGIT = 10.0


class SeesRed(nn.Module):
    """Says of "seen ..." that it is where red is over 100, of "never ..." that it is nowhere, of "flat ..." zero."""

    def __init__(self, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.images: list[int] = []

    def forward(
        self, pixels_BCHW: Tensor, image_index_N: Tensor, word_ids_NL: Tensor, word_mask_NL: Tensor
    ) -> ModelOutput:
        assert not self.training and torch.is_inference_mode_enabled()
        self.images.append(len(pixels_BCHW))
        red_BHW = (pixels_BCHW[:, 0, :: self.stride, :: self.stride] > 100).float()
        logits_NHW = (2 * red_BHW[image_index_N] - 1) * SEEN_LOGIT
        first_N = word_ids_NL[:, 0].view(-1, 1, 1)
        logits_NHW = torch.where(first_N == FLAT, torch.zeros(()), logits_NHW)
        grid = Grid(pixels_BCHW.shape[2], pixels_BCHW.shape[3], self.stride)
        return ModelOutput(torch.where(first_N == NEVER, torch.tensor(-SEEN_LOGIT), logits_NHW), self.stride, grid)


class PaintedSource(Source):
    """Images of which the red part and the true mask are given, each with its own expressions."""

    pixels = "drawn"

    def __init__(self, images: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[str, ...]]]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        return (tuple(range(len(self.images[index][2]))),)

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        red_HW, truth_HW, texts = self.images[index]
        positions = range(len(texts)) if expressions is None else expressions
        image_HWC = np.zeros((*red_HW.shape, 3), dtype=np.uint8)
        image_HWC[..., 0] = red_HW * 255
        chosen = tuple(texts[at] for at in positions)
        tags = tuple((text.split()[0],) for text in chosen)
        return Sample(image_HWC, truth_HW[None], (0,) * len(chosen), chosen, tuple(positions), index, tags)

    def texts(self) -> Iterator[str]:
        return iter(())


def area(height: int, width: int, rows: slice, columns: slice) -> NDArray[np.bool_]:
    mask_HW = np.zeros((height, width), dtype=bool)
    mask_HW[rows, columns] = True
    return mask_HW


EVERY = slice(None)
AT_HALF = replace(ORIGINAL, threshold=0.5)


class BoxedSource(PaintedSource):
    """Of the true masks only the boxes are known."""

    def read(self, index: int, expressions: Sequence[int] | None = None) -> Sample:
        return replace(super().read(index, expressions), boxed=(True,))


class TwoReferents(PaintedSource):
    """Each image's expressions name one thing and another in turns."""

    def expression_groups(self, index: int) -> tuple[tuple[int, ...], ...]:
        count = len(self.images[index][2])
        return tuple(range(0, count, 2)), tuple(range(1, count, 2))


def areas(counts: MaskCounts) -> tuple[list[int], list[int]]:
    return counts.intersections.tolist(), counts.unions.tolist()


def score(
    source: PaintedSource,
    inputs: InputConfig = STRETCH,
    network: nn.Module | None = None,
    data: DataConfig | None = None,
    **config: Any,
) -> Scores:
    settings = EvaluateConfig(**{"threshold": 0.5, **config})
    return evaluate(
        cast(M3AttNet, network or SeesRed().eval()), TOKENIZER, source, inputs, settings, data or DataConfig()
    )


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("protocol", [*PROTOCOLS])
def test_an_iou_worked_out_by_hand(stride: int, protocol: str) -> None:
    """Red above, truth on the left: a quarter of the image is both, three quarters are either."""
    source = PaintedSource([(area(16, 16, slice(8), EVERY), area(16, 16, EVERY, slice(8)), ("seen",))])
    found = score(source, network=SeesRed(stride).eval(), protocol=protocol).to_dict()
    if protocol == "rela":  # 32 pixels in the input of 8 x 8 are fewer than 50
        assert found["mean_iou"] == 0
    elif protocol == "refer" or (stride == 2 and protocol not in ("original", "lavt")):
        # Half way to no, a probability of one is still over 0.35, and a mask still touches: a ninth row of 16. CRIS may
        # lose a corner to the zeros beyond the square.
        assert found["overall_iou"] == pytest.approx(9 * 8 / (9 * 16 + 7 * 8), abs=0.004)
    else:
        assert found["mean_iou"] == pytest.approx(1 / 3, abs=1e-8)  # CRIS adds a millionth to the union
        assert found["overall_iou"] == 1 / 3
    assert found["protocol"] == protocol


def test_the_grey_around_a_letterboxed_image_is_not_compared() -> None:
    """The left half of a wide image is red and true; grey is over 100 too, but no pixel of the image."""
    left_HW = area(8, 16, EVERY, slice(8))
    counts = score(PaintedSource([(left_HW, left_HW, ("seen",))]), LETTERBOX, protocol="all").counts
    assert areas(counts[AT_HALF]) == ([64], [64])
    assert areas(counts[PROTOCOLS["vlt"]]) == ([64], [64])
    assert areas(counts[PROTOCOLS["lavt"]]) == ([32], [32])  # the image stretched over the square of eight
    assert areas(counts[PROTOCOLS["rela"]]) == ([0], [32])  # the same, but 32 pixels are fewer than 50


def test_large_and_small_images_weigh_by_pixels_at_their_own_size_and_alike_in_the_input() -> None:
    everywhere = area(32, 32, EVERY, EVERY)
    small = area(8, 8, EVERY, EVERY)
    found = score(PaintedSource([(everywhere, everywhere, ("seen",)), (small, small, ("never",))]), protocol="all")
    figures = found.to_dict()["protocols"]
    for name in ("original", "vlt", "mcn", "refer"):
        assert (figures[name]["overall_iou"], figures[name]["mean_iou"]) == (1024 / (1024 + 64), pytest.approx(0.5))
    for name in ("lavt", "rela"):
        assert (figures[name]["overall_iou"], figures[name]["mean_iou"]) == (0.5, 0.5)


def test_a_probability_belongs_to_the_mask_only_over_the_threshold() -> None:
    everywhere = area(8, 8, EVERY, EVERY)
    source = PaintedSource([(everywhere, everywhere, ("flat",))])  # a probability of 0.5 exactly
    found = score(source, protocol="all").to_dict()
    assert {at: part["mean_iou"] for at, part in found["at"].items()} == {"0.35": 1.0, "0.5": 0.0}
    assert found["mean_iou"] == 0.0
    over = {name for name, part in found["protocols"].items() if part["mean_iou"] > 0.5}
    assert over == {"vlt", "mcn", "cris", "cris-val"}  # at 0.35; arg max takes the first of two that are alike
    assert sorted(score(source, threshold=0.7).to_dict()["at"]) == ["0.35", "0.5", "0.7"]


# The others overshoot, unite parts that nearly touch, or drop small masks.
@pytest.mark.parametrize("protocol", ["original", "lavt", "vlt", "mcn"])
def test_the_region_around_the_peak_by_hand(protocol: str) -> None:
    """Two parts are red. The larger is the truth, and both are as sure, so the larger is taken."""
    truth_HW = area(16, 16, slice(10), EVERY)
    source = PaintedSource([(truth_HW | area(16, 16, slice(12, 16), slice(4)), truth_HW, ("seen",))])
    both, alone = (score(source, protocol=protocol, region=region) for region in ("all", "peak"))
    iou, without = (scores.to_dict()["mean_iou"] for scores in (both, alone))
    assert iou < without
    if protocol == "original":
        assert (iou, without) == (160 / 176, 1.0)
    assert both.shown.region == "all" and alone.shown.region == "peak"
    boxed = BoxedSource(source.images)
    found = [score(boxed, region=region).boxes[0] for region in ("all", "peak")]
    assert [one.union for one in found] == [256, 160]


def test_all_protocols_in_one_pass_are_those_of_one_by_one() -> None:
    network = SeesRed(2).eval()
    together = score(PaintedSource(MANY), LETTERBOX, network=network, protocol="all", threshold=0.35).to_dict()
    assert sum(network.images) == len(MANY)  # the network saw each image once for all of them
    assert list(together["protocols"]) == list(PROTOCOLS)
    assert together["protocol"] == "original"
    for name, figures in together["protocols"].items():
        alone = score(PaintedSource(MANY), LETTERBOX, network=SeesRed(2).eval(), protocol=name, threshold=0.35)
        assert alone.to_dict()["protocols"][name] == figures
        assert alone.figures().items() <= figures.items()
    json.dumps(together)


def test_the_first_sentence_of_each_referent_is_the_source_s() -> None:
    """Positions 0, 2, ... are of one referent, 1, 3, ... of the other: the first two of an image come first."""
    everywhere = area(8, 8, EVERY, EVERY)
    source = TwoReferents([(everywhere, everywhere, ("seen", "never", "never", "never", "seen"))] * 2)
    for batch_size in (1, 3, 64):
        found = score(source, protocol="all", batch_size=batch_size).to_dict()["protocols"]
        assert (found["cris"]["expressions"], found["cris"]["overall_iou"]) == (10, 4 / 10)
        assert (found["cris-val"]["expressions"], found["cris-val"]["overall_iou"]) == (4, 2 / 4)


def test_expressions_that_mean_nothing() -> None:
    everywhere, nowhere = area(8, 8, EVERY, EVERY), area(8, 8, slice(0), EVERY)
    corner = area(8, 8, slice(2), slice(2))  # four pixels: to ReLA an empty mask, to us an answer
    source = PaintedSource(
        [(everywhere, nowhere, ("never", "seen")), (corner, nowhere, ("seen",)), (everywhere, everywhere, ("seen",))]
    )
    found = score(source, protocol="all").to_dict()["protocols"]
    assert {name: part["no_target_expressions"] for name, part in found.items()} == {
        name: 2 if name == "cris-val" else 3 for name in PROTOCOLS
    }
    assert found["original"]["no_target_accuracy"] == 1 / 3
    assert found["rela"]["no_target_accuracy"] == 2 / 3
    assert found["rela"]["mean_iou"] == 3 / 4 and found["rela"]["overall_iou"] == 64 / (64 + 64)
    assert found["original"]["mean_iou"] == 2 / 4 and found["original"]["overall_iou"] == 64 / (64 + 4 + 64)
    assert found["lavt"]["mean_iou"] == 1 / 4
    assert found["original"]["target_accuracy"] == found["rela"]["target_accuracy"] == 1.0


WORDS = ("seen", "never", "seen long", "flat")
MANY = [
    (area(16, 16, slice(n), EVERY), area(16, 16, EVERY, slice(3 + n)), WORDS[: 1 + n % len(WORDS)]) for n in range(1, 9)
]


def test_the_batch_size_changes_nothing() -> None:
    found = {size: score(PaintedSource(MANY), batch_size=size).to_dict() for size in (1, 2, 3, 7, 64)}
    assert all(figures == found[64] for figures in found.values())
    assert found[64]["expressions"] == sum(len(texts) for _, _, texts in MANY)


def test_each_image_is_encoded_once() -> None:
    network = SeesRed().eval()
    score(PaintedSource(MANY), network=network, batch_size=5)
    assert sum(network.images) == len(MANY)
    assert len(network.images) > 2
    network = SeesRed().eval()
    score(PaintedSource(MANY), network=network, batch_size=64)
    assert network.images == [len(MANY)]


def test_reading_processes_change_nothing() -> None:
    settings = EvaluateConfig(batch_size=5)
    found = [
        evaluate(
            cast(M3AttNet, SeesRed().eval()), TOKENIZER, PaintedSource(MANY), STRETCH, settings, DataConfig(), workers
        ).to_dict()
        for workers in (0, 2)
    ]
    assert found[0] == found[1]


def test_figures_by_skill() -> None:
    everywhere = area(8, 8, EVERY, EVERY)
    found = score(PaintedSource([(everywhere, everywhere, ("seen", "never", "seen"))])).to_dict()
    assert {name: (part["mean_iou"], part["expressions"]) for name, part in found["by_skill"].items()} == {
        "never": (0.0, 1),
        "seen": (1.0, 2),
    }


def test_unknown_words_are_read_by_their_spelling_only_on_request() -> None:
    left = area(8, 8, EVERY, slice(0, 4))
    texts = [(left, left, ("sene", "sene wug", "seen"))]
    exact, near = (score(PaintedSource(texts), nearest_spelling=on).to_dict() for on in (False, True))
    assert exact["unknown_words"] == {"expressions": 2, "without_known_word": 2} and "nearest_spelling" not in exact
    assert near["unknown_words"] == {"expressions": 1, "without_known_word": 0} and near["nearest_spelling"]
    assert near["mean_iou"] == 1.0
    assert "read as their nearest known spelling" in scores_heading(near)


def test_expressions_with_unknown_words_are_counted() -> None:
    everywhere = area(8, 8, EVERY, EVERY)
    texts = ("seen", "seen wug", "wug", "wug wug seen", "seen flat flat flat wug")  # cut before its last word
    scores = score(PaintedSource([(everywhere, everywhere, texts)] * 2), batch_size=3)
    assert scores.to_dict()["unknown_words"] == {"expressions": 6, "without_known_word": 2}
    assert scores.merge(scores).to_dict()["unknown_words"] == {"expressions": 12, "without_known_word": 4}
    line = scores_heading(scores.to_dict())
    assert line.endswith("6 expressions with words that the model does not know, 2 of them without a known word")


def test_what_a_report_needs_stands_beside_the_figures() -> None:
    done: list[tuple[int, int]] = []
    texts = ("seen flat flat flat flat", "seen")
    everywhere = area(8, 8, EVERY, EVERY)
    found = evaluate(
        cast(M3AttNet, SeesRed().eval()), TOKENIZER, PaintedSource([(everywhere, everywhere, texts)] * 5), STRETCH,
        EvaluateConfig(batch_size=2, protocol="lavt"), DataConfig(images=3, split="testA"),
        progress=lambda *step: done.append(step),
    ).to_dict()  # fmt: skip
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert (found["images"], found["expressions"], found["cut_expressions"]) == (3, 6, 3)
    assert found["unknown_words"] == {"expressions": 0, "without_known_word": 0}
    assert (found["split"], found["protocol"], found["threshold"], found["same_words"]) == (
        "testA", "lavt", 0.5, False
    )  # fmt: skip
    json.dumps(found)


def test_the_same_words_blind_the_network() -> None:
    everywhere = area(8, 8, EVERY, EVERY)
    source = PaintedSource([(everywhere, everywhere, ("seen", "never"))])
    found = score(source, data=DataConfig(same_words=True)).to_dict()
    assert found["mean_iou"] == 1.0  # "object" is neither of the words that it knows
    assert found["same_words"] is True


@pytest.mark.parametrize("training", [True, False])
def test_the_network_s_mode_and_the_state_of_chance_stay(training: bool, tiny_run: RunConfig) -> None:
    network = build_network(tiny_run.model, 32, TOKENIZER.size).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    chance = torch.get_rng_state()
    first, second = (
        evaluate(
            network, TOKENIZER, PaintedSource(MANY), InputConfig(size=32), EvaluateConfig(threshold=0.5), DataConfig()
        ).to_dict()
        for _ in range(2)
    )
    assert first == second  # dropout is off
    assert network.training is training
    assert torch.equal(torch.get_rng_state(), chance)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_largest_object_by_hand(refer_folder: Path) -> None:
    """Worked out of instances.json and the refs' annotations alone."""
    data = DataConfig(root=str(refer_folder))
    source = open_source(data, "val")
    found = evaluate_largest(source, InputConfig(), EvaluateConfig(), data).to_dict()
    instances = json.loads((refer_folder / "shaperef" / "instances.json").read_text())
    of_image: dict[int, list[NDArray[np.bool_]]] = {}
    for entry in instances["annotations"]:
        of_image.setdefault(entry["image_id"], []).append(coco_mask.decode(entry["segmentation"]).astype(bool))
    ious, intersections, unions = [], 0, 0
    for index in range(len(source)):
        sample = source.read(index)
        largest_HW = max(of_image[sample.image_id], key=lambda mask_HW: int(mask_HW.sum()))
        for row in sample.mask_index_N:
            intersection = int((largest_HW & sample.masks_MHW[row]).sum())
            union = int((largest_HW | sample.masks_MHW[row]).sum())
            ious.append(intersection / union)
            intersections, unions = intersections + intersection, unions + union
    assert found["mean_iou"] == pytest.approx(sum(ious) / len(ious), abs=1e-12)
    assert found["overall_iou"] == intersections / unions
    assert 0 < found["mean_iou"] < 1
    assert (found["floor"], found["images"], found["expressions"]) == ("largest", 4, len(ious))
    assert found["at"]["0.35"] == found["at"]["0.5"]  # a mask has no threshold
    assert evaluate_largest(source, InputConfig(), EvaluateConfig(), DataConfig(images=2)).to_dict()["images"] == 2


def test_the_largest_object_of_a_drawn_scene() -> None:
    """Both floors of the same two scenes, drawn when they are read, by areas that are counted here."""
    data = DataConfig(images=2)
    source = open_source(data, "val")
    scores = evaluate_largest(source, InputConfig(), EvaluateConfig(), data)
    for image in range(2):
        masks_OHW = np.stack([draw(mask) for mask, _ in source.read_objects(image)])
        largest_HW = masks_OHW[masks_OHW.sum(axis=(1, 2)).argmax()]
        np.testing.assert_array_equal(source.read_largest(image), largest_HW)
        referents_MHW = source.read(image).masks_MHW
        assert all((masks_OHW == mask_HW).all(axis=(1, 2)).any() for mask_HW in referents_MHW)
    assert 0 < scores.mean_iou < 1


def test_an_evaluation_shows_its_masks_in_the_order_of_the_scores(tiny_run: RunConfig) -> None:
    config = replace(tiny_run, data=DataConfig(images=3))
    source = open_source(config.data, "val")
    tokenizer = Tokenizer.from_texts(source.texts(), word_limit=24)
    network = build_network(config.model, config.input.size, tokenizer.size)
    seen: list[tuple[int, int, int, int]] = []

    def watch(image: int, sample: Sample, positions: Sequence[int], masks_NHW: NDArray[np.bool_]) -> None:
        truth_NHW = sample.masks_MHW[list(sample.mask_index_N)]
        assert sample.expressions == source.read(image, positions).expressions
        shared = (masks_NHW & truth_NHW).sum(axis=(1, 2)).tolist(), (masks_NHW | truth_NHW).sum(axis=(1, 2)).tolist()
        seen.extend((image, at, *counts) for at, *counts in zip(positions, *shared, strict=True))

    scores = evaluate(network, tokenizer, source, config.input, config.evaluate, config.data, watch=watch)
    counts = scores.counts[scores.shown]
    assert [one[2] for one in seen] == list(counts.intersections) and any(counts.intersections)
    assert [one[3] for one in seen] == list(counts.unions)
    assert [one[0] for one in seen] == [expression.image for expression in scores.expressions]
    assert len(set(seen)) == len(seen) > 6
