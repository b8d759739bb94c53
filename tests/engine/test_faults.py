"""Training and scoring on data of which some cannot be read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from m3att.config import DataConfig, EvaluateConfig, InputConfig, RunConfig
from m3att.data.open import open_source
from m3att.data.refer.source import ReferSource
from m3att.data.text import Tokenizer
from m3att.engine.checkpoint import read_header
from m3att.engine.evaluate import evaluate, evaluate_largest
from m3att.engine.run_folder import RunFolder
from m3att.engine.train import train
from m3att.errors import DataError
from m3att.model.build import build_network

from .test_train import StoppedError, assert_same_run, on_folder, stop_at


@pytest.fixture
def torn_folder(refer_folder: Path, tmp_path: Path) -> Path:
    """The data set with one training picture torn, one gone, and one of val torn."""
    root = tmp_path / "torn"
    shutil.copytree(refer_folder, root)
    train_source, val = (ReferSource(root, "shaperef", "unc", split) for split in ("train", "val"))
    for path in (train_source.image_path(1), val.image_path(2)):
        path.write_bytes(path.read_bytes()[:200])
    train_source.image_path(4).unlink()
    return root


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_leaves_out_what_it_cannot_read_and_names_it(
    tiny_run: RunConfig, torn_folder: Path, tmp_path: Path, workers: int
) -> None:
    config = on_folder(tiny_run, torn_folder)
    config = replace(config, train=replace(config.train, workers=workers))
    train(config, tmp_path / "run")
    found = RunFolder(tmp_path / "run").known_faults()
    assert sorted(reason.partition(": ")[2] for reason in found)[1] == "no such file"
    assert len(found) == 2
    assert json.loads(RunFolder(tmp_path / "run").faults.read_text().splitlines()[0]) == {"left_out": found[0]}


@pytest.mark.parametrize("batch_size", [4, 16])
def test_a_faulty_run_that_was_stopped_goes_on_bit_for_bit(
    tiny_run: RunConfig, torn_folder: Path, tmp_path: Path, batch_size: int
) -> None:
    """Batches of four expressions are often of one image, and some of nothing that can be read."""
    config = on_folder(tiny_run, torn_folder)
    config = replace(config, train=replace(config.train, batch_size=batch_size))
    train(config, tmp_path / "whole")
    with pytest.raises(StoppedError):
        train(config, tmp_path / "parts", report=stop_at(4))
    train(config, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert sorted(RunFolder(tmp_path / "whole").known_faults()) == sorted(RunFolder(tmp_path / "parts").known_faults())


def test_a_run_stops_past_the_limit_with_or_without_an_interruption(
    tiny_run: RunConfig, torn_folder: Path, tmp_path: Path
) -> None:
    config = on_folder(tiny_run, torn_folder)
    config = replace(config, data=replace(config.data, fault_limit=1))
    with pytest.raises(DataError, match=r"with it 2 images .* more than --data\.fault_limit 1"):
        train(config, tmp_path / "run")
    named = RunFolder(tmp_path / "run").faults.read_text()
    assert len(named.splitlines()) == 2
    with pytest.raises(DataError, match=r"no such file|cut short|identif|image"):
        train(replace(config, data=replace(config.data, fault_limit=0)), tmp_path / "strict")


def test_a_validation_of_nothing_is_no_score_and_costs_no_step(
    tiny_run: RunConfig, torn_folder: Path, tmp_path: Path
) -> None:
    val = ReferSource(torn_folder, "shaperef", "unc", "val")
    for number in range(len(val)):
        path = val.image_path(number)
        path.write_bytes(path.read_bytes()[:200])
    config = on_folder(tiny_run, torn_folder)
    config = replace(config, train=replace(config.train, steps=3, validate_every=2, save_every=100))
    with pytest.raises(DataError, match=r"^nothing to validate on \(val\): no image of the split can be read: "):
        train(config, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert read_header(run.checkpoint)[0].step == 2
    assert not (run.path / "best").exists()


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_nothing_to_train_on_ends_the_run(tiny_run: RunConfig, torn_folder: Path, tmp_path: Path, steps: int) -> None:
    """Also a run that takes fewer steps than an epoch has batches."""
    source = ReferSource(torn_folder, "shaperef", "unc", "train")
    for index in range(1, len(source)):
        source.image_path(index).unlink(missing_ok=True)
    source.image_path(0).write_bytes(b"no picture")  # one must be there, or layouts are drawn
    with pytest.raises(DataError, match=r"no image of the training split can be read; .*faults\.jsonl names"):
        config = on_folder(tiny_run, torn_folder)
        short = {"steps": steps, "batch_size": 4, "early_sizes": (), "early_steps": ()}
        train(replace(config, train=replace(config.train, **short)), tmp_path / "run")  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 1])
def test_scores_say_what_they_leave_out(torn_folder: Path, tiny_run: RunConfig, workers: int) -> None:
    data = DataConfig(root=str(torn_folder), dataset="shaperef")
    source = open_source(data, "val")
    tokenizer = Tokenizer.from_texts(source.texts(), 24)
    torch.manual_seed(0)
    network = build_network(tiny_run.model, 32, tokenizer.size)
    inputs, config = InputConfig(size=32, resize="stretch"), EvaluateConfig(batch_size=5)
    scores = evaluate(network, tokenizer, source, inputs, config, data, workers)
    found = scores.to_dict()
    counts = [sum(map(len, source.expression_groups(index))) for index in range(4)]
    assert found["left_out"]["expressions"] == counts[2]
    assert found["expressions"] == sum(counts) - counts[2]
    assert found["images"] == 3
    assert len(found["left_out"]["reasons"]) == 1
    assert {expression.image for expression in scores.expressions} == {0, 1, 3}
    with pytest.raises(DataError, match=r"\.jpg"):
        evaluate(network, tokenizer, source, inputs, config, replace(data, fault_limit=0), workers)


def test_the_floor_says_it_too(torn_folder: Path) -> None:
    data = DataConfig(root=str(torn_folder), dataset="shaperef")
    source = open_source(data, "val")
    scores = evaluate_largest(source, InputConfig(size=32), EvaluateConfig(), data)
    counts = [sum(map(len, source.expression_groups(index))) for index in range(4)]
    assert scores.to_dict()["left_out"]["expressions"] == counts[2]
    assert len(scores.expressions) == sum(counts) - counts[2]
