"""Two processes against one: losses, gradients, statistics, scores, batches, and the end of one of them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from m3att.ablations import TABLES, Row, row_config
from m3att.bounds import check_fit
from m3att.config import RunConfig
from m3att.data.batch import BatchReader
from m3att.data.order import Group
from m3att.data.text import Tokenizer
from m3att.engine.checkpoint import read_header
from m3att.engine.distributed import ALONE, join, keep_to_cores, may_leave_weights_out
from m3att.engine.optim import build_optimizer
from m3att.engine.run_folder import RunFolder
from m3att.engine.step import train_step
from m3att.errors import ConfigError
from m3att.model.build import build_network
from m3att.settings import config_from_dict, nest

from . import processes_worker as worker


@pytest.fixture(scope="module")
def found(refer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """The folder in which two processes worked, and what each of them found; the second killed itself."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, worker.__file__, str(refer_folder), str(folder)]
    logs = [(folder / f"{rank}.log").open("w") for rank in range(2)]
    started = [
        subprocess.Popen(
            words, env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, stdout=log, stderr=log
        )
        for rank, log in enumerate(logs)
    ]
    codes = [process.wait(timeout=300) for process in started]
    for log in logs:
        log.close()
    text = "".join((folder / f"{rank}.log").read_text() for rank in range(2))
    assert codes == [0, -9], text
    return folder, [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


def test_losses_gradients_and_statistics_are_those_of_one_process(found: tuple[Path, list[dict[str, Any]]]) -> None:
    """Also of micro-batches, with boxes and outlines, and where a process has no part of the batch."""
    for one in found[1]:
        for images, accumulate in worker.BATCHES:
            step = one[f"step {images} {accumulate}"]
            assert step["losses"] < 1e-5 and step["norm"] < 1e-5, step
            assert step["gradients"] < 1e-3 and step["buffers"] < 1e-5, step


def test_divided_weights_have_the_same_gradients_and_their_checkpoint_is_whole(
    found: tuple[Path, list[dict[str, Any]]],
) -> None:
    """FSDP2. Its training was interrupted, and went on from a checkpoint."""
    folder, every = found
    for one in every:
        assert one["divided"]["losses"] < 1e-5 and one["divided"]["gradients"] < 1e-3, one["divided"]
    whole, divided = (load_file(folder / name / "checkpoint.safetensors") for name in ("run", "divided"))
    assert whole.keys() == divided.keys()
    for name in (name for name in whole if name.startswith(("network.", "optimizer."))):
        torch.testing.assert_close(divided[name], whole[name], rtol=1e-3, atol=2e-4, msg=name)


def test_processes_compute_muons_directions_together(found: tuple[Path, list[dict[str, Any]]]) -> None:
    assert all(difference < 1e-5 for one in found[1] for difference in one["directions"])
    assert all(len(one["directions"]) == 2 for one in found[1])


def test_an_evaluation_counts_the_same_integers_in_the_same_order(found: tuple[Path, list[dict[str, Any]]]) -> None:
    assert all(one["counts"] for one in found[1])


def test_one_process_goes_on_with_the_batches_that_two_would_have_had(
    found: tuple[Path, list[dict[str, Any]]], refer_folder: Path, tmp_path: Path
) -> None:
    folder, (first, second) = found
    assert read_header(RunFolder(folder / "run").checkpoint)[0].step == 3
    together = [sorted(one + other) for one, other in zip(first["seen"], second["seen"], strict=True)]
    assert all(first["seen"]) and any(second["seen"])
    rest = worker.train(worker.on_data(refer_folder, steps=5), folder / "run", resume=True)
    alone = worker.train(worker.on_data(refer_folder, steps=5), tmp_path / "alone")
    assert [*together, *map(sorted, rest)] == [sorted(step) for step in alone]
    one, other = ((path / "metrics.jsonl").read_text().splitlines() for path in (folder / "run", tmp_path / "alone"))
    assert len(one) == len(other) == 5
    for left, right in zip(map(json.loads, one), map(json.loads, other), strict=True):
        assert left["expressions"] == right["expressions"]
        assert left["loss/total"] == pytest.approx(right["loss/total"], rel=1e-3)


def test_a_process_that_dies_ends_the_other_with_one_line(found: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, (first, _) = found
    assert first["lost"][0] == "another process has ended, and so has this one"
    assert "Traceback" not in (folder / "0.log").read_text()


@pytest.mark.parametrize(("key", "value"), [("train.optimizer", "muon"), ("train.ema", 0.9)])
def test_divided_weights_do_not_go_with_everything(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^train\.shard: "):
        check_fit(config_from_dict(nest({"train.optimizer": "adamw", "train.shard": True, key: value})))


def test_a_process_that_no_launcher_started_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "0", "1"):
        monkeypatch.setenv("WORLD_SIZE", value)
        assert join("cpu") is ALONE


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for table in TABLES.values() for row in table.rows])
def test_every_weight_has_a_gradient_where_pytorch_need_not_look(row: Row, tiny_run: RunConfig) -> None:
    """In each variant of the network. Where PyTorch must look, there is a weight that it finds, or it would warn."""
    config = row_config(tiny_run, row, 0)
    if config.model.decoder.attention not in ("val", "vision_query"):
        config = replace(config, train=replace(config.train, attention_weight=0.1))
    tokenizer = Tokenizer.from_texts(["the red square", "a circle"], config.model.word_limit, 1)
    network = build_network(config.model, config.input.size, tokenizer.size).train()
    reader = BatchReader(worker.SOURCE, tokenizer, config.input, config.data, training=True)
    batch = reader[[Group(number, None, 4, number) for number in range(2)]]
    train_step(network, network, build_optimizer(network, config.train), [batch], config, 1e-3)
    without = [name for name, weight in network.named_parameters() if weight.requires_grad and weight.grad is None]
    assert bool(without) == may_leave_weights_out(network), without


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux binds processes to cores")
@pytest.mark.parametrize(
    ("cores", "count", "shares"),
    [
        (range(2), 2, [{0}, {1}]),
        (range(5), 2, [{0, 1}, {2, 3, 4}]),
        ([3, 8], 3, []),
        (range(4), 1, []),
        (range(4), 0, []),
    ],
)
def test_processes_share_the_cores_that_their_launcher_has(
    monkeypatch: pytest.MonkeyPatch, cores: Sequence[int], count: int, shares: list[set[int]]
) -> None:
    bound: list[set[int]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(cores))
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, chosen: bound.append(set(chosen)))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(count))
    for rank in range(max(1, count)):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        keep_to_cores()
    assert bound == shares
    bound.clear()
    own = {0: {0, 1, 2, 3}}  # bound by somebody else: the launcher has more
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: own.get(process, set(range(16))))
    keep_to_cores()
    assert bound == []


def test_half_of_a_launcher_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match=r"^WORLD_SIZE is 2 and RANK is not set: start several .* with torchrun"):
        join("cpu")
    for name, value in {"RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ConfigError, match="accelerate is set to FSDP"):
        join("cpu")
    monkeypatch.setenv("WORLD_SIZE", "many")
    with pytest.raises(ConfigError, match="no number of processes"):
        join("cpu")
