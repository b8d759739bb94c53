"""The dry run: what it reads, how much of a batch it takes, and that its step is the run's own first one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from m3att.config import DataConfig, InputConfig, LanguageConfig, ModelConfig, RunConfig, TrainConfig, VisionConfig
from m3att.data.open import open_source
from m3att.engine import dry_run as module
from m3att.engine import start as start_module
from m3att.engine.dry_run import (
    Memory,
    data_at_hand,
    first_groups,
    fitting_expressions,
    free_memory,
    loosened,
    peak_memory,
)
from m3att.engine.optim import build_optimizer
from m3att.errors import ConfigError, DataError
from m3att.report.tables import short_count

SCENES = DataConfig(images=8, per_image=4)


def config_of(expressions: int, data: DataConfig = SCENES) -> RunConfig:
    return RunConfig(data=data, train=TrainConfig(batch_size=expressions))


def small_run(train: TrainConfig) -> RunConfig:
    """A network that steps in a moment, on data that are not here."""
    model = ModelConfig(channels=16, vision=VisionConfig(widths=(8, 16), blocks=(0, 0), encoder_layers=1))
    return RunConfig(
        model=replace(model, mask=replace(model.mask, channels=8, upsamplings=1)),
        input=InputConfig(size=32),
        data=DataConfig(dataset="refcocog", split_by="umd", pixels="photos", sentences="one"),
        train=train,
    )


@pytest.mark.parametrize(
    ("dataset", "split_by", "drawn"),
    [
        ("refcoco", "unc", "shaperef"),
        ("refcoco+", None, "shaperef+"),
        ("refcocog", "umd", "shaperefg"),
        ("refclef", "berkeley", "shaperef"),
        ("jsonl", None, "shaperef"),
    ],
)
def test_data_that_are_not_there_are_drawn_under_the_runs_own_settings(
    dataset: str, split_by: str | None, drawn: str
) -> None:
    given = DataConfig(dataset=dataset, split_by=split_by, pixels="photos", sentences="one", flip=True)
    data, notes = data_at_hand(given)
    assert (data.dataset, data.split_by, data.pixels, data.sentences, data.flip) == (drawn, None, "auto", "one", True)
    assert len(notes) == 1
    assert f"{drawn}'s drawn scenes in place of {dataset}" in notes[0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (DataConfig(dataset="refcoc"), "unknown data set 'refcoc'"),
        (DataConfig(dataset="refcoco", split_by="umd"), "refcoco is not split by 'umd'"),
        (
            DataConfig(dataset="refcocog", split_by="google", split="test"),
            "refcocog split by google has no split 'test'",
        ),
    ],
)
def test_what_the_run_would_be_refused_for_is_not_drawn(given: DataConfig, message: str) -> None:
    with pytest.raises(DataError, match=message):
        data_at_hand(given)


def test_data_that_are_there_or_drawn_anyway_stay() -> None:
    assert data_at_hand(DataConfig(dataset="shaperef, shaperef+")) == (DataConfig(dataset="shaperef, shaperef+"), [])
    assert data_at_hand(DataConfig(root="r", dataset="refcoco", pixels="photos"))[0].pixels == "auto"
    assert data_at_hand(DataConfig(root="r", dataset="refcoco", pixels="layout"))[0].pixels == "layout"


def test_an_encoder_to_be_frozen_may_lack_its_weights() -> None:
    notes: list[str] = []
    bare = ModelConfig(vision=VisionConfig("darknet53", freeze=True), language=LanguageConfig(freeze=True))
    loose = loosened(bare, notes)
    assert not loose.vision.freeze and not loose.language.freeze
    assert [note.rpartition(" ")[2] for note in notes] == ["--model.vision.weights", "--model.language.weights"]
    given = replace(bare, vision=replace(bare.vision, weights="a"), language=replace(bare.language, weights="b"))
    assert loosened(given, notes) == given
    assert loosened(ModelConfig(), notes) == ModelConfig()  # what is trained from scratch lacks nothing
    assert len(notes) == 2


def test_the_first_batch_is_of_the_runs_own_order() -> None:
    config = config_of(12)
    groups = first_groups(open_source(config.data, "train", training=True), config, 12)
    assert sum(len(group.positions or ()) for group in groups) == 12
    endless = config_of(12, DataConfig(per_image=4))
    assert [group.image for group in first_groups(open_source(endless.data, "train", True), endless, 12)] == [0, 1, 2]


def test_a_batch_that_finds_no_room_is_halved_till_it_does() -> None:
    config = config_of(32)
    source = open_source(config.data, "train", training=True)
    memory = Memory(weights=100, gradients=0, optimizer=0, per_image=0, per_expression=100)
    assert fitting_expressions(memory, config, source, None) == 32
    assert fitting_expressions(memory, config, source, 10**6) == 32
    for expressions in (16, 8, 2):
        needed = module.WORKING_ROOM * (100 + expressions * 100) - 100
        assert fitting_expressions(memory, config, source, int(needed) + 1) == expressions
    with pytest.raises(ConfigError, match=r"a step on 2 expressions needs 0\.0 GiB and 0\.0 are free"):
        fitting_expressions(memory, config, source, 10)


def test_a_batch_of_one_expression_is_not_made_larger() -> None:
    config = config_of(1)
    source = open_source(config.data, "train", training=True)
    with pytest.raises(ConfigError, match="a step on 1 expression needs"):
        fitting_expressions(Memory(100, 0, 0, 0, 100), config, source, 10)


def test_memory_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"meminfo": "MemTotal: 9 kB\nMemAvailable:   4096 kB\n", "memory.max": "max\n", "memory.current": "1000\n"}
    monkeypatch.setattr(module, "read_text", lambda path: files.get(path.name, ""))
    cpu = torch.device("cpu")
    assert free_memory(cpu) == 3 * 2**20
    files["memory.max"] = "401000\n"
    assert free_memory(cpu) == 300_000
    files["memory.max"] = "10\n"
    assert free_memory(cpu) == 0
    files.clear()
    assert free_memory(cpu) is None
    peak = peak_memory(cpu)
    assert peak is None or peak > 2**20


def test_a_file_that_the_system_does_not_have_is_empty(tmp_path: Path) -> None:
    assert module.read_text(tmp_path / "none") == ""


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "-"), (7, "7"), (999, "999"), (1000, "1.00 k"), (86_878_584, "86.88 M"), (85_240_000_000, "85.24 G")],
)
def test_large_counts_are_told_in_their_own_unit(count: int, text: str) -> None:
    assert short_count(count) == text


def test_the_step_trains_pretrained_parts_at_their_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float] = []

    def spy(*words: Any) -> Any:
        optimizer = build_optimizer(*words)
        shares.extend(group["share"] for group in optimizer.param_groups)
        return optimizer

    monkeypatch.setattr(start_module, "build_optimizer", spy)
    monkeypatch.setattr(start_module, "pretrained_parts", lambda network, _: [network.vision.backbone])
    config = small_run(TrainConfig(batch_size=2, threads=1, pretrained_rate=0.25))
    module.dry_run(config)
    assert set(shares) == {1.0, 0.25}


def test_the_whole_of_it_on_drawn_scenes() -> None:
    config = small_run(TrainConfig(batch_size=6, threads=1, category_weight=0.5))
    found = module.dry_run(config).to_dict()
    assert found["pixels"] == "drawn"
    assert found["steps"] is None
    assert found["total"]["trainable"] == sum(part["trainable"] for part in found["parts"])
    assert found["step"]["expressions"] == 6
    assert found["step"]["losses"]["mask"] > 0 and found["step"]["losses"]["category"] > 0
    assert (found["memory"]["batch_expressions"], found["memory"]["batch_images"]) == (6, found["step"]["images"])
    assert found["memory"]["weights"] < found["memory"]["batch"] <= found["memory"]["batch_of_single_images"]
    assert found["config"]["data"]["dataset"] == "refcocog"
