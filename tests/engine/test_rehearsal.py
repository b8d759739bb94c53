"""One batch learned by heart, and the range test of learning rates."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from m3att.config import RunConfig
from m3att.engine import rehearsal
from m3att.engine.rehearsal import Learned, RateRange, averages, find_rate, overfit_one_batch
from m3att.errors import ConfigError, DivergedError


@pytest.fixture
def run(tiny_run: RunConfig, refer_folder: Path) -> RunConfig:
    """The tiny run on a folder of six images, with half of the words dropped."""
    model = replace(tiny_run.model, language=replace(tiny_run.model.language, word_dropout=0.5))
    data = replace(tiny_run.data, root=str(refer_folder), per_image=2)
    train = replace(tiny_run.train, batch_size=4, learning_rate=0.01, dice_weight=0.0, warmup=50)
    return replace(tiny_run, model=model, data=data, train=train)


def test_one_batch_is_learned_by_heart(run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "LEARNED", 0.4)  # which takes a tenth of the time
    seen: list[tuple[int, int]] = []
    found = overfit_one_batch(run, 300, lambda done, steps: seen.append((done, steps)))
    assert found.learned and found.left < rehearsal.LEARNED
    assert 5 < len(found.losses) < 300 and seen[-1] == (len(found.losses), 300)
    assert 0 < found.losses[0]["floor"] < found.losses[-1]["mask"] < 0.5 * found.losses[0]["mask"]
    assert found.expressions == 4 and json.dumps(found.to_dict())


def test_what_cannot_be_learned_is_said(run: RunConfig) -> None:
    found = overfit_one_batch(replace(run, train=replace(run.train, learning_rate=0.0)), 5)
    assert not found.learned and found.left > 0.9 and len(found.losses) == 5


def test_a_step_without_a_number_ends_it(run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = iter([None, None, "the loss is nan"])
    monkeypatch.setattr(rehearsal, "fault_of", lambda losses, norm: next(faults))
    found = overfit_one_batch(run, 9)
    assert (len(found.losses), found.ended) == (2, "the loss or the gradient of step 3 is no number")
    assert not Learned(
        1, 1, [{"mask": 1.0, "box": 0.0, "floor": 0.0}, {"mask": 0.0, "box": 0.0, "floor": 0.0}], "x"
    ).learned
    monkeypatch.setattr(rehearsal, "fault_of", lambda losses, norm: "the loss is nan")
    for work in (overfit_one_batch, find_rate):
        with pytest.raises(DivergedError, match="of the first step is no finite number"):
            work(run, 9)


def test_the_floor_is_the_loss_of_masks_that_are_right() -> None:
    """The entropy of the shares: no logits have a smaller cross-entropy."""
    share = 0.3
    entropy = -(share * math.log(share) + (1 - share) * math.log(1 - share))

    class Network(torch.nn.Module):
        def forward(self, *_: Any) -> Any:
            return type("Output", (), {"mask_logits_NHW": torch.zeros(1, 1, 2), "mask_stride": 1})

    batch = type(
        "Batch",
        (),
        {
            **dict.fromkeys(("pixels_BCHW", "image_index_N", "word_ids_NL", "word_mask_NL"), torch.zeros(1)),
            "masks_MHW": torch.tensor([[[255 * share, 255.0]]]),
            "mask_index_N": torch.tensor([0]),
            "has_boxes": False,
        },
    )
    found = rehearsal.loss_floor(Network(), batch, RunConfig())  # type: ignore[arg-type]
    assert found == pytest.approx(entropy / 2, abs=1e-4)


def test_rates_rise_by_one_factor_and_the_weights_follow_them(run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []
    step = rehearsal.train_step

    def watched(*words: Any) -> Any:
        used.append(words[5])
        return step(*words)

    monkeypatch.setattr(rehearsal, "train_step", watched)
    monkeypatch.setattr(rehearsal, "TOO_HIGH", math.inf)
    found = find_rate(run, 7)
    assert used == list(found.rates) == pytest.approx([10.0**power for power in range(-6, 1)])
    assert len(found.losses) == len(found.smoothed) == 7 and found.ended == ""


def test_it_ends_where_the_loss_explodes(run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.7, 90.0, 1.0, 1.0])
    monkeypatch.setattr(rehearsal.Rehearsal, "step", lambda *_: {"total": next(losses)})
    found = find_rate(run, 10)
    assert len(found.losses) == 8 and found.ended == f"at {found.rates[-1]:.2g} the loss is 4 times the lowest"
    assert found.lowest == found.rates[5] or found.lowest == found.rates[6]


def curve(shape: Callable[[float], float]) -> RateRange:
    """The losses of a shape over the power of ten of the rate."""
    powers = [-6 + 6 * number / 99 for number in range(100)]
    smoothed = [shape(power) for power in powers]
    return RateRange([10**power for power in powers], smoothed, smoothed)


def test_the_suggestion_is_the_steepest_fall() -> None:
    found = curve(lambda power: 1 / (1 + math.exp(4 * (power + 3.0))) + 0.2 * max(0.0, power + 1.5))
    assert found.steepest == pytest.approx(1e-3, rel=0.1)
    assert 0.005 < found.lowest < 0.1
    assert curve(lambda power: power).steepest is None  # it only rises
    assert curve(lambda power: 1.0).steepest is None
    assert RateRange([1e-6], [1.0], [1.0]).steepest is None


def test_averages_are_those_of_a_loop() -> None:
    losses = [3.0, 1.0, 2.0, 5.0]
    for number, found in enumerate(averages(losses), start=1):
        weights = [rehearsal.SMOOTHING ** (number - 1 - at) for at in range(number)]
        expected = sum(w * loss for w, loss in zip(weights, losses[:number], strict=True)) / sum(weights)
        assert found == pytest.approx(expected)


def test_a_run_that_another_one_comes_before_is_refused(run: RunConfig) -> None:
    config = replace(run, train=replace(run.train, init="preset:shaperef-tiny-start"))
    with pytest.raises(ConfigError, match=r"the run of preset shaperef-tiny-start comes before .* --train.init null"):
        overfit_one_batch(config, 1)
