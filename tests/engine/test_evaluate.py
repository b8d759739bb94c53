"""Scoring, on networks whose answers are known, so that every figure can be worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from m3att.config import DataConfig, EvaluateConfig, InputConfig, RunConfig
from m3att.data.open import open_source
from m3att.data.sample import Sample
from m3att.data.text import Tokenizer
from m3att.engine.evaluate import evaluate, evaluate_largest
from m3att.errors import ConfigError
from m3att.metrics import Scores
from m3att.model.build import build_network
from m3att.model.network import M3AttNet, ModelOutput

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
        return ModelOutput(torch.where(first_N == NEVER, torch.tensor(-SEEN_LOGIT), logits_NHW))


class PaintedSource:
    """Images of which the red part and the true mask are given, each with its own expressions."""

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
@pytest.mark.parametrize("protocol", ["original", "resized"])
def test_an_iou_worked_out_by_hand(stride: int, protocol: str) -> None:
    """Red above, truth on the left: a quarter of the image is both, three quarters are either."""
    source = PaintedSource([(area(16, 16, slice(8), EVERY), area(16, 16, EVERY, slice(8)), ("seen",))])
    found = score(source, network=SeesRed(stride).eval(), protocol=protocol).to_dict()
    assert found["mean_iou"] == found["overall_iou"] == 1 / 3
    assert found["protocol"] == protocol


def test_the_protocols_differ_in_what_surrounds_a_letterboxed_image() -> None:
    """The left half of a wide image is red and true; grey is over 100 too, but no pixel of the image."""
    left_HW = area(8, 16, EVERY, slice(8))
    source = PaintedSource([(left_HW, left_HW, ("seen",))])
    counts = score(source, LETTERBOX).counts[0.5]
    assert (counts.intersections, counts.unions) == ([64], [64])
    counts = score(source, LETTERBOX, protocol="resized").counts[0.5]
    # 4 x 8 cells hold the image, half of them red; the other 4 x 8 are grey.
    assert (counts.intersections, counts.unions) == ([16], [16 + 32])


def test_large_and_small_images_weigh_by_pixels_at_their_own_size_and_alike_when_resized() -> None:
    everywhere = area(32, 32, EVERY, EVERY)
    small = area(8, 8, EVERY, EVERY)
    source = PaintedSource([(everywhere, everywhere, ("seen",)), (small, small, ("never",))])
    original = score(source).to_dict()
    assert (original["overall_iou"], original["mean_iou"]) == (1024 / (1024 + 64), 0.5)
    resized = score(source, protocol="resized").to_dict()
    assert (resized["overall_iou"], resized["mean_iou"]) == (0.5, 0.5)


def test_a_probability_belongs_to_the_mask_only_over_the_threshold() -> None:
    everywhere = area(8, 8, EVERY, EVERY)
    scores = score(PaintedSource([(everywhere, everywhere, ("flat",))]))  # a probability of 0.5 exactly
    assert scores.counts[0.5].iou_N().tolist() == [0.0]
    assert scores.counts[0.35].iou_N().tolist() == [1.0]
    assert scores.mean_iou == 0.0
    assert sorted(score(PaintedSource([(everywhere, everywhere, ("flat",))]), threshold=0.7).counts) == [0.35, 0.5, 0.7]


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


def test_what_a_report_needs_stands_beside_the_figures() -> None:
    done: list[tuple[int, int]] = []
    texts = ("seen flat flat flat flat", "seen")
    everywhere = area(8, 8, EVERY, EVERY)
    found = evaluate(
        cast(M3AttNet, SeesRed().eval()), TOKENIZER, PaintedSource([(everywhere, everywhere, texts)] * 5), STRETCH,
        EvaluateConfig(batch_size=2, protocol="resized"), DataConfig(images=3, split="testA"),
        progress=lambda *step: done.append(step),
    ).to_dict()  # fmt: skip
    assert done == [(1, 3), (2, 3), (3, 3)]
    assert (found["images"], found["expressions"], found["cut_expressions"]) == (3, 6, 3)
    assert (found["split"], found["protocol"], found["threshold"], found["same_words"]) == (
        "testA", "resized", 0.35, False
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
    found = evaluate_largest(source, EvaluateConfig(), data).to_dict()
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
    assert evaluate_largest(source, EvaluateConfig(), DataConfig(images=2)).to_dict()["images"] == 2


def test_the_largest_object_needs_annotations() -> None:
    data = DataConfig(images=1)
    with pytest.raises(ConfigError, match=r"needs a data set with annotations: give --data\.root"):
        evaluate_largest(open_source(data, "val"), EvaluateConfig(), data)
