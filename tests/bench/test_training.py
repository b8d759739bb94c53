"""What a training waits for, and what its loop costs beside its network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m3att.app.cli import main
from m3att.bench import training
from m3att.bench.training import WARM, Plan, measure_training, peak_of_step, planned
from m3att.config import (
    DataConfig,
    DecoderConfig,
    InputConfig,
    LanguageConfig,
    MaskDecoderConfig,
    ModelConfig,
    RunConfig,
    TrainConfig,
    VisionConfig,
)
from m3att.data.shaperef.writer import write_refer

SMALL = RunConfig(
    model=ModelConfig(
        channels=16,
        vision=VisionConfig(widths=(8, 16), blocks=(0, 0), encoder_layers=1),
        language=LanguageConfig(word_channels=8),
        decoder=DecoderConfig(layers=1, heads=2, feedforward=1),
        mask=MaskDecoderConfig(channels=4, upsamplings=1),
    ),
    input=InputConfig(size=32, resize="stretch"),
    train=TrainConfig(
        batch_size=6, steps=500, early_sizes=(16,), early_steps=(100,), restarts=(50,), workers=0, threads=1,
        device="cpu", validate_every=1, save_every=1, log_every=1,
    ),
)  # fmt: skip


@pytest.fixture
def small(tmp_path: Path) -> RunConfig:
    write_refer(tmp_path / "refer", "shaperef", {"train": 6, "val": 2}, seed=1, size=64)
    return replace(SMALL, data=DataConfig(root=str(tmp_path / "refer"), dataset="shaperef"))


def test_a_short_training_stands_for_the_run(small: RunConfig) -> None:
    plan = planned(small, 5)
    train = plan.config.train
    assert (train.steps, train.early_sizes, train.restarts, train.batch_size) == (WARM + 6, (), (), 6)
    assert plan.config.model == small.model and plan.config.input == small.input and plan.notes == ()
    noted = planned(replace(small, data=DataConfig(dataset="refcoco"), train=replace(SMALL.train, init="preset:x")), 2)
    assert noted.config.train.init is None and noted.config.data.dataset == "shaperef" and len(noted.notes) == 2


class Clock:
    """A clock that only the work of a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def slowed(self, work: Callable[..., Any], seconds: float) -> Callable[..., Any]:
        """Some work that takes a time."""

        def slow(*arguments: Any, **named: Any) -> Any:
            self.now += seconds
            return work(*arguments, **named)

        return slow


def test_overhead_and_wait_come_out_as_they_are(small: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(training.time, "perf_counter", clock)
    monkeypatch.setattr(training.time, "process_time", clock)
    monkeypatch.setattr(training, "bare_step", clock.slowed(training.bare_step, 2.0))
    monkeypatch.setattr("m3att.engine.train.train_step", clock.slowed(training.train_step, 2.5))
    monkeypatch.setattr(training, "train_step", clock.slowed(training.train_step, 2.2))
    found = measure_training(planned(small, 3))
    assert found["steps"] == 3 and found["clock"] == "processor"
    assert found["bare_seconds"] == pytest.approx(2.0)
    assert found["overhead"] == pytest.approx(2.5 / 2.0 - 1)
    assert found["wait_share"] == 0


def test_waiting_is_seen(small: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from m3att.data.batch import BatchReader

    read = BatchReader.__getitem__

    def slow(self: BatchReader, groups: Any) -> Any:
        time.sleep(0.5)
        return read(self, groups)

    monkeypatch.setattr(BatchReader, "__getitem__", slow)
    found = measure_training(planned(small, 2))
    assert found["wait_share"] > 0.3
    assert found["expressions_per_second"] < found["expressions"] / 0.5


def test_memory_is_that_of_one_step_on_a_whole_batch(small: RunConfig) -> None:
    found = peak_of_step(replace(small, train=replace(small.train, batch_size=4)))
    assert found["expressions"] == 4 and found["images"] >= 1
    assert found["peak_bytes"] is None or found["peak_bytes"] > 50e6


def test_the_command_shows_and_writes_what_it_found(
    small: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = {
        "expressions": 6.0, "images": 2.0, "clock": "processor", "step_seconds": 0.5, "bare_seconds": 0.48,
        "overhead": 0.04, "workers": 1, "wait_share": 0.012, "expressions_per_second": 12.0,
    }  # fmt: skip
    plans: list[Plan] = []

    def measure(plan: Plan, progress: object) -> dict[str, Any]:
        plans.append(plan)
        return measured

    rows = [{"batch_size": 3, "expressions": 3, "images": 1, "peak_bytes": 2**30}]
    monkeypatch.setattr(training, "measure_training", measure)
    monkeypatch.setattr(training, "measure_memory", lambda config, sizes: rows if sizes == [3] else [])
    words = ["bench", "train", "--preset", "ablation-tiny", "--data.root", str(small.data.root), "--steps", "4"]
    assert main([*words, "--batch-sizes", "3", "--json", str(tmp_path / "out" / "b.json")]) == 0
    said = capsys.readouterr().out
    assert "4.0 %" in said and "1.2 %" in said and "1.00 GiB" in said
    written = json.loads((tmp_path / "out" / "b.json").read_text(encoding="utf-8"))
    assert written == {**measured, "preset": "ablation-tiny", "memory": rows}
    assert plans[0].config.train.steps == WARM + 5
    assert main([*words[:3], "ablation-tiny", "--steps", "1"]) == 2
    assert main(["bench", "train"]) == 2
