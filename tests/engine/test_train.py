"""Training: a run that was stopped, killed or lengthened ends as one that was not."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from m3att import errors
from m3att.config import DataConfig, RunConfig
from m3att.data.open import open_source
from m3att.data.text import Tokenizer
from m3att.engine.batches import batches, count_steps
from m3att.engine.checkpoint import Position, read_whole
from m3att.engine.distributed import Processes
from m3att.engine.faults import RunFaults
from m3att.engine.run_folder import RunFolder
from m3att.engine.step import train_step
from m3att.engine.stopping import Stopping, alone
from m3att.engine.train import train
from m3att.errors import ConfigError, DataError, DivergedError, ModelError
from m3att.model.build import build_network
from m3att.pretrained import load_model
from m3att.settings import config_from_file, config_to_yaml

CLOCK = ("seconds", "expressions_per_second", "data_wait", "memory_gib")


class StoppedError(Exception):
    """What a test stops a run by."""


def stop_at(stop: int) -> Callable[[int, int, dict[str, float]], None]:
    def report(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == stop:
            raise StoppedError

    return report


def lines(out: Path) -> list[dict[str, Any]]:
    """What a run logged, without what the clock decides."""
    entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in entry.items() if key not in CLOCK} for entry in entries]


def assert_same_run(first: Path, second: Path) -> None:
    """Weights, optimiser, state of chance and log are the same to the last bit."""
    for name in ("checkpoint.safetensors", "last/model.safetensors", "best/model.safetensors"):
        one, other = load_file(first / name), load_file(second / name)
        assert one.keys() == other.keys()
        different = [key for key in one if not torch.equal(one[key], other[key])]
        assert not different, f"{name}: {different}"
    assert lines(first) == lines(second)


def on_folder(config: RunConfig, root: Path, **changes: Any) -> RunConfig:
    """The run on a folder of few images, counted in epochs."""
    return replace(
        config,
        data=replace(config.data, root=str(root), **changes),
        train=replace(config.train, steps=None, epochs=2.5, batch_size=8 if changes else 16),
    )


@pytest.mark.parametrize("kind", ["stream", "mixed stream", "epochs", "one sentence", "small at first"])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(
    tiny_run: RunConfig, refer_folder: Path, tmp_path: Path, kind: str
) -> None:
    config = {
        "stream": tiny_run,
        "mixed stream": replace(tiny_run, data=replace(tiny_run.data, dataset="shaperef,shaperefg")),
        "epochs": on_folder(tiny_run, refer_folder),
        "small at first": on_folder(
            replace(tiny_run, train=replace(tiny_run.train, early_sizes=(16, 24), early_steps=(2, 4))), refer_folder
        ),
        "one sentence": on_folder(tiny_run, refer_folder, sentences="one", grouped=False),
    }[kind]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(config, whole)
    steps = lines(whole)[-1]["step"]
    assert steps > 6
    # Stopped before the first checkpoint: it starts anew. Then between checkpoints, and at one.
    with pytest.raises(StoppedError):
        train(config, broken, report=stop_at(2))
    for stop, resume in ((5, False), (6, True)):
        with pytest.raises(StoppedError):
            train(config, broken, resume, report=stop_at(stop))
    train(config, broken, resume=True)
    assert [entry["step"] for entry in lines(broken)] == list(range(1, steps + 1))
    assert_same_run(whole, broken)


def test_a_killed_process_goes_on_bit_for_bit(tiny_run: RunConfig, tmp_path: Path) -> None:
    """A real process with a reading process of its own, killed where it cannot tidy up."""
    whole, broken, settings = tmp_path / "whole", tmp_path / "broken", tmp_path / "run.yaml"
    train(tiny_run, whole)
    settings.write_text(config_to_yaml(replace(tiny_run, train=replace(tiny_run.train, workers=1))))
    script = f"""
import sys, time
from pathlib import Path
import m3att.data.shaperef.source as source
source._TEXT_SCENES = 40
from m3att.engine.train import train
from m3att.settings import config_from_file

def report(step, steps, figures):
    if step == 5:
        print("here", flush=True)
        time.sleep(120)

train(config_from_file(Path({str(settings)!r})), Path({str(broken)!r}), report=report)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        child.kill()
        assert child.wait(20) == -signal.SIGKILL
    assert [entry["step"] for entry in lines(broken)] == [1, 2, 3, 4, 5]
    with (broken / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "loss/to')  # as if the kill had come while a line was written
    assert config_from_file(broken / "config.yaml").train.workers == 1
    train(tiny_run, broken, resume=True)
    assert_same_run(whole, broken)


def test_a_run_can_be_lengthened_and_sees_new_images(tiny_run: RunConfig, tmp_path: Path) -> None:
    def run(steps: int) -> RunConfig:
        return replace(tiny_run, train=replace(tiny_run.train, schedule="constant", steps=steps, validate_every=100))

    train(run(6), tmp_path / "whole")
    train(run(3), tmp_path / "lengthened")
    train(run(6), tmp_path / "lengthened", resume=True)
    whole, lengthened = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "lengthened"))
    assert all(torch.equal(whole[name], lengthened[name]) for name in whole)


@pytest.mark.parametrize("schedule", ["step", "cosine", "trapezoid"])
def test_a_run_that_has_ended_goes_on_as_if_its_second_leg_had_been_planned(
    tiny_run: RunConfig, tmp_path: Path, schedule: Literal["step", "cosine", "trapezoid"]
) -> None:
    settings = replace(tiny_run.train, schedule=schedule, steps=3, warmup=1, validate_every=100)
    second = replace(tiny_run, train=replace(settings, steps=7, restarts=(3,)))
    train(second, tmp_path / "whole")
    train(replace(tiny_run, train=settings), tmp_path / "in two")
    train(second, tmp_path / "in two", resume=True)
    whole, in_two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "in two"))
    assert all(torch.equal(whole[name], in_two[name]) for name in whole)


def test_tensorboard_shows_each_step_once(tiny_run: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        train(tiny_run, tmp_path, report=stop_at(5))
    train(tiny_run, tmp_path, resume=True)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("loss/total")] == list(range(1, 9))
    logged = [line["loss/total"] for line in lines(tmp_path)]
    assert [event.value for event in board.Scalars("loss/total")] == pytest.approx(logged)


def test_validating_more_often_changes_no_weight(tiny_run: RunConfig, refer_folder: Path, tmp_path: Path) -> None:
    config = on_folder(tiny_run, refer_folder)
    for name, every in (("often", 1), ("seldom", 1000)):
        train(replace(config, train=replace(config.train, validate_every=every)), tmp_path / name)
    often, seldom = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("often", "seldom"))
    assert all(torch.equal(often[name], seldom[name]) for name in often)


def test_what_validation_cannot_read_is_named_too(tiny_run: RunConfig, refer_folder: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(refer_folder, root)
    config = on_folder(tiny_run, root)
    photo = Path(open_source(config.data, "val").image_path(0))  # type: ignore[attr-defined]
    photo.write_bytes(b"")
    train(config, tmp_path / "run")
    lines = (tmp_path / "run" / "faults.jsonl").read_text().splitlines()
    assert [photo.name in line for line in lines] == [True]
    with pytest.raises(DataError, match=f"{photo.name}: the file is empty"):
        train(replace(config, data=replace(config.data, fault_limit=0)), tmp_path / "strict")


def test_a_run_folder_holds_what_it_takes(tiny_run: RunConfig, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    steps = []
    returned = train(tiny_run, out, report=lambda step, total, _: steps.append((step, total)))
    assert returned == out / "last"
    assert steps == [(step, 8) for step in range(1, 9)]
    assert config_from_file(out / "config.yaml") == tiny_run
    assert list((out / "tensorboard").glob("events.out.tfevents.*"))
    assert not list(out.rglob("*.part"))
    entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in entries] == list(range(1, 9))
    assert [entry["expressions"] for entry in entries] == sorted(entry["expressions"] for entry in entries)
    wanted = {"loss/mask", "loss/dice", "loss/reconstruction", "loss/total", "gradient_norm", "learning_rate", *CLOCK}
    assert all(wanted <= entry.keys() and all(map(math.isfinite, entry.values())) for entry in entries)
    validated = {"val/mean_iou", "val/overall_iou", *(f"val/precision_0.{at}" for at in range(5, 10))}
    assert [entry["step"] for entry in entries if validated <= entry.keys()] == [4, 8]
    assert entries[0]["learning_rate"] == pytest.approx(1e-3 / 3)
    for name in ("best", "last"):
        model = load_model(out / name)
        assert (model.world, model.config) == ("ShapeRef's drawn scenes", tiny_run)
        assert (model.tokenizer.size, model.tokenizer.word_limit) == (
            Tokenizer.from_file(out / "tokenizer.json", 24).size,
            24,
        )


def test_a_folder_that_holds_a_run_is_refused_and_left_alone(tiny_run: RunConfig, tmp_path: Path) -> None:
    short = replace(tiny_run, train=replace(tiny_run.train, steps=1))
    train(short, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(ConfigError, match="holds a run already: add --resume to go on with it") as refusal:
        train(tiny_run, tmp_path / "run")
    assert "\n" not in str(refusal.value)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_run_without_a_checkpoint_starts_anew_though_it_is_resumed(tiny_run: RunConfig, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(tiny_run, whole)
    with pytest.raises(StoppedError):
        train(tiny_run, broken, resume=True, report=stop_at(2))
    for name in ("checkpoint.safetensors.77.part", "last/model.safetensors.77.part"):
        (broken / name).parent.mkdir(exist_ok=True)
        (broken / name).write_bytes(b"killed while it wrote this")
    (broken / "last" / ".export.m3att-0123abcd-7.part").mkdir()  # of another machine, which may be at work
    train(tiny_run, broken, resume=True)
    (broken / "last" / ".export.m3att-0123abcd-7.part").rmdir()
    assert_same_run(whole, broken)
    assert not list(broken.rglob("*.part"))


def test_processes_begin_their_steps_together_before_one_promises_a_checkpoint(
    tiny_run: RunConfig, tmp_path: Path
) -> None:
    asked: list[Any] = []

    class Watched(Stopping):
        def waiting(self, largest: Callable[[int], int] = alone) -> AbstractContextManager[None]:
            asked.append(largest)
            return super().waiting(largest)

    train(replace(tiny_run, train=replace(tiny_run.train, steps=1)), tmp_path, stop=Watched())
    assert [one.__func__ for one in asked] == [Processes.largest]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_ends_the_step_saves_it_and_goes_on_bit_for_bit(
    tiny_run: RunConfig, tmp_path: Path, number: signal.Signals
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(tiny_run, whole)
    stop, said = Stopping(), []
    stop.say = said.append

    def report(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == 4:
            stop.receive(number)

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else errors.StoppedError):
        train(tiny_run, broken, report=report, stop=stop)
    assert len(said) == 1
    assert "checkpoint" in said[0] and ("Ctrl-C again" in said[0]) == (number == signal.SIGINT)
    assert [line["step"] for line in lines(broken)] == [1, 2, 3, 4, 5]  # a step of no other checkpoint
    train(tiny_run, broken, resume=True)
    assert [line["step"] for line in lines(broken)] == list(range(1, 9))
    assert_same_run(whole, broken)


def test_a_full_disk_leaves_the_last_checkpoint_and_the_run_goes_on_bit_for_bit(
    tiny_run: RunConfig, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(tiny_run, whole)
    room = RunFolder(whole).checkpoint.stat().st_size * 3 // 4  # a model fits, a checkpoint does not
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def report(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))

    try:
        with pytest.raises(ModelError, match=r"checkpoint.safetensors: cannot be written .*; make room, and go on"):
            train(tiny_run, broken, report=report)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(broken.rglob("*.part"))
    position, _ = read_whole(RunFolder(broken).checkpoint)
    assert position.step == 3
    train(tiny_run, broken, resume=True)
    assert_same_run(whole, broken)


def test_a_damaged_checkpoint_is_named_and_the_run_goes_on_from_the_one_before(
    tiny_run: RunConfig, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(tiny_run, whole)
    with pytest.raises(StoppedError):
        train(tiny_run, broken, report=stop_at(7))
    content = bytearray((broken / "checkpoint.safetensors").read_bytes())
    content[-1] ^= 64
    (broken / "checkpoint.safetensors").write_bytes(content)
    said: list[str] = []
    train(tiny_run, broken, resume=True, announce=said.extend)
    assert said[0].startswith(f"note: {broken}/checkpoint.safetensors: damaged (its content does not fit")
    assert said[0].endswith("goes on from the checkpoint of step 3")
    assert_same_run(whole, broken)


def test_a_run_that_is_asked_to_stop_in_its_last_step_has_ended(tiny_run: RunConfig, tmp_path: Path) -> None:
    stop = Stopping()
    assert train(tiny_run, tmp_path, report=lambda step, *_: step == 7 and stop.receive(signal.SIGTERM), stop=stop)
    assert lines(tmp_path)[-1]["step"] == 8
    with pytest.raises(errors.StoppedError):
        stop.check()


def test_a_finished_run_that_is_resumed_stays_as_it_is(tiny_run: RunConfig, tmp_path: Path) -> None:
    short = replace(tiny_run, train=replace(tiny_run.train, steps=2))
    train(short, tmp_path / "run")
    before = [(tmp_path / "run" / name).read_bytes() for name in ("checkpoint.safetensors", "metrics.jsonl")]
    said: list[str] = []
    assert train(short, tmp_path / "run", resume=True, announce=said.extend) == tmp_path / "run" / "last"
    assert said[-1] == "note: the run has ended already, and nothing is trained: all its 2 steps are done"
    assert [(tmp_path / "run" / name).read_bytes() for name in ("checkpoint.safetensors", "metrics.jsonl")] == before


@pytest.mark.parametrize("every", [{"log_every": 2}, {"save_every": 2}, {"validate_every": 2}])
def test_a_loss_that_is_no_number_stops_the_run_and_is_not_saved(
    tiny_run: RunConfig, tmp_path: Path, every: dict[str, int]
) -> None:
    never = {"log_every": 100, "save_every": 100, "validate_every": 100}
    settings = replace(tiny_run.train, learning_rate=1e30, warmup=0, **{**never, **every})
    with pytest.raises(DivergedError, match=r"^the (loss|gradient) is (nan|inf) at step 2: lower --train.learning"):
        train(replace(tiny_run, train=settings), tmp_path)
    assert not (tmp_path / "checkpoint.safetensors").exists()
    assert not (tmp_path / "last").exists()


def test_weights_that_are_infinite_are_not_saved_though_the_loss_is_a_number(
    tiny_run: RunConfig, tmp_path: Path
) -> None:
    settings = replace(tiny_run.train, learning_rate=1e39, optimizer="adam", warmup=0, save_every=1)
    with pytest.raises(DivergedError, match=r"^the weight [\w.]+ is no finite number after step 1: lower --train"):
        train(replace(tiny_run, train=settings), tmp_path)
    assert not RunFolder(tmp_path).can_resume


@pytest.fixture
def poisoned(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Steps of a learning rate in which the masks are no numbers, as they are when a number overflows on the way.

    The steps are known by their warm-up rates, so that a resumed run meets the same.
    """
    met: set[int] = set()
    real = train_step

    def step(forward: Any, network: Any, optimizer: Any, parts: Any, config: RunConfig, rate: float, *more: Any) -> Any:
        def overflowing(*words: Any, **options: Any) -> Any:
            output = forward(*words, **options)
            return replace(output, mask_logits_NHW=output.mask_logits_NHW * math.nan)

        bad = round(rate / config.train.learning_rate * (config.train.warmup + 1)) in met
        before = {name: value.clone() for name, value in network.state_dict().items()}
        found = real(overflowing if bad else forward, network, optimizer, parts, config, rate, *more)
        same = all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
        assert same == bad  # the statistics of BatchNorm too
        return found

    monkeypatch.setattr("m3att.engine.train.train_step", step)
    return met


def rising(run: RunConfig, **changes: Any) -> RunConfig:
    """A run whose every step has a learning rate of its own."""
    return replace(run, train=replace(run.train, warmup=8, schedule="constant", **changes))


def test_bad_steps_are_named_and_skipped_and_the_run_goes_on_bit_for_bit(
    tiny_run: RunConfig, tmp_path: Path, poisoned: set[int]
) -> None:
    poisoned |= {4, 5}
    run = rising(tiny_run, bad_steps=2)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(run, whole)
    named = [json.loads(line) for line in (whole / "bad_steps.jsonl").read_text().splitlines()]
    assert [(line["step"], line["fault"]) for line in named] == [(4, "the loss is nan"), (5, "the loss is nan")]
    for line in named:
        assert sum(len(image["expression_ids"]) for image in line["images"]) == 8
        assert all(isinstance(image["image_id"], int) for image in line["images"])
    assert [line["step"] for line in lines(whole) if "loss/total" in line] == [1, 2, 3, 6, 7, 8]
    with pytest.raises(StoppedError):
        train(run, broken, report=stop_at(5))  # the checkpoint is of step 3: both are met again
    train(run, broken, resume=True)
    assert (broken / "bad_steps.jsonl").read_text() == (whole / "bad_steps.jsonl").read_text()
    assert_same_run(whole, broken)


def test_more_bad_steps_than_are_allowed_end_the_run(tiny_run: RunConfig, tmp_path: Path, poisoned: set[int]) -> None:
    poisoned |= {2, 4, 5}
    message = r"^the loss is nan at step 4: train.bad_steps allows 1, and this is number 2; lower .*jsonl names"
    with pytest.raises(DivergedError, match=message):
        train(rising(tiny_run, bad_steps=1), tmp_path)
    assert RunFolder(tmp_path).can_resume
    with pytest.raises(DivergedError, match="at step 5"):  # more may be skipped, and the first one still counts
        train(rising(tiny_run, bad_steps=2), tmp_path, resume=True)
    train(rising(tiny_run, bad_steps=3), tmp_path, resume=True)
    assert lines(tmp_path)[-1]["step"] == 8


def test_data_without_end_need_a_number_of_steps(tiny_run: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"have no epochs: give --train\.steps"):
        train(replace(tiny_run, train=replace(tiny_run.train, steps=None)), tmp_path / "run")


def test_epochs_are_counted_in_batches(tiny_run: RunConfig, refer_folder: Path) -> None:
    config = on_folder(tiny_run, refer_folder)
    source = open_source(config.data, "train")
    expressions = sum(len(group) for index in range(6) for group in source.expression_groups(index))
    an_epoch = -(-expressions // 16)
    for epochs, steps in ((1.0, an_epoch), (2.5, round(2.5 * an_epoch)), (0.0, 1)):
        assert count_steps(replace(config, train=replace(config.train, epochs=epochs)), source) == steps
    assert count_steps(replace(config, train=replace(config.train, steps=7)), source) == 7


def test_batches_tell_what_follows_them(tiny_run: RunConfig, refer_folder: Path, tmp_path: Path) -> None:
    config = on_folder(tiny_run, refer_folder)
    source = open_source(config.data, "train")
    tokenizer = Tokenizer.from_texts(source.texts(), 24)
    an_epoch = count_steps(replace(config, train=replace(config.train, epochs=1.0)), source)
    steps, faults = 2 * an_epoch + 1, RunFaults(RunFolder(tmp_path), 0)
    whole = list(batches(config, source, tokenizer, Position(), steps, faults))
    followers = [(epoch, batch) for epoch in range(3) for batch in range(an_epoch)][1 : steps + 1]
    assert [drawn.following for drawn in whole] == followers
    for start in range(1, steps):
        epoch, batch = followers[start - 1]
        rest = list(batches(config, source, tokenizer, Position(start, epoch, batch), steps, faults))
        assert [drawn.following for drawn in rest] == followers[start:]
        for one, other in zip(rest, whole[start:], strict=True):
            assert torch.equal(one.parts[0].word_ids_NL, other.parts[0].word_ids_NL)
            assert torch.equal(one.parts[0].pixels_BCHW, other.parts[0].pixels_BCHW)


@pytest.mark.parametrize(("grouped", "images"), [(True, 2), (False, 8)])
def test_ungrouped_drawn_images_carry_one_expression_each(
    tiny_run: RunConfig, tmp_path: Path, grouped: bool, images: int
) -> None:
    config = replace(tiny_run, data=replace(tiny_run.data, grouped=grouped))
    source = open_source(config.data, "train", training=True)
    tokenizer = Tokenizer.from_texts(source.texts(), 24)
    faults = RunFaults(RunFolder(tmp_path), 0)
    for drawn in batches(config, source, tokenizer, Position(), 2, faults):
        (batch,) = drawn.parts
        assert len(batch.pixels_BCHW) == images
        assert grouped or batch.image_index_N.tolist() == list(range(8))


def test_drawn_images_of_a_given_number_come_again_each_epoch(tiny_run: RunConfig, tmp_path: Path) -> None:
    config = replace(
        tiny_run, data=replace(tiny_run.data, images=2), train=replace(tiny_run.train, steps=None, epochs=2.0)
    )
    train(config, tmp_path)
    source = open_source(config.data, "train", training=True)
    expressions = sum(len(group) for index in range(2) for group in source.expression_groups(index))
    assert lines(tmp_path)[-1]["expressions"] == 2 * expressions


def test_a_network_learns_one_scene_by_heart(tiny_run: RunConfig, refer_folder: Path, tmp_path: Path) -> None:
    model = replace(
        tiny_run.model,
        channels=32,
        language=replace(tiny_run.model.language, word_channels=16, word_dropout=0.0),
        decoder=replace(tiny_run.model.decoder, dropout=0.0),
        mask=replace(tiny_run.model.mask, channels=16, upsamplings=2),
    )
    settings = replace(
        tiny_run.train, batch_size=64, steps=80, learning_rate=1e-2, schedule="trapezoid", validate_images=1,
        validate_every=100, save_every=100,
    )  # fmt: skip
    data = DataConfig(root=str(refer_folder), images=1, split="train")
    train(replace(tiny_run, model=model, data=data, train=settings), tmp_path)
    entries = lines(tmp_path)
    # One guess for all expressions of the image cannot come near either figure.
    assert entries[-1]["loss/total"] < 0.3 * entries[0]["loss/total"]
    assert entries[-1]["val/mean_iou"] > 0.65


def test_bfloat16_trains_too(tiny_run: RunConfig, tmp_path: Path) -> None:
    train(replace(tiny_run, train=replace(tiny_run.train, precision="bfloat16", steps=2)), tmp_path)
    assert all(math.isfinite(entry["loss/total"]) for entry in lines(tmp_path))
    weights = load_file(tmp_path / "last" / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float32, torch.int64}


def test_frozen_weights_stay_as_they_are(tiny_run: RunConfig, tmp_path: Path) -> None:
    vision = replace(tiny_run.model.vision, freeze=True)
    for name, steps in (("one", 1), ("three", 3)):
        config = replace(tiny_run, model=replace(tiny_run.model, vision=vision))
        train(replace(config, train=replace(config.train, steps=steps)), tmp_path / name)
    one, three = (load_file(tmp_path / name / "last" / "model.safetensors") for name in ("one", "three"))
    frozen = {name for name in one if name.startswith("vision.backbone.")}
    same = {name for name in one if torch.equal(one[name], three[name])}
    assert frozen and frozen <= same
    assert len(same - frozen) < len(one) / 4


def test_a_device_that_is_not_there_leaves_no_folder(tiny_run: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'cuda:99'"):
        train(replace(tiny_run, train=replace(tiny_run.train, device="cuda:99")), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_saved_settings_are_plain_yaml(tiny_run: RunConfig, tmp_path: Path) -> None:
    train(replace(tiny_run, train=replace(tiny_run.train, steps=1)), tmp_path)
    plain = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert plain["model"]["vision"]["widths"] == [8, 16]
    assert plain["train"]["steps"] == 1


def test_the_category_loss_trains_its_head_resumes_and_stays_out_of_the_model(
    tiny_run: RunConfig, tmp_path: Path
) -> None:
    run = replace(tiny_run, train=replace(tiny_run.train, category_weight=0.5))
    whole = train(run, tmp_path / "whole")
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    assert all(line["loss/category"] > 0 for line in lines)
    expected = lines[0]["loss/mask"] + lines[0]["loss/dice"] + 0.1 * lines[0]["loss/reconstruction"]
    assert lines[0]["loss/total"] == pytest.approx(expected + 0.5 * lines[0]["loss/category"], rel=1e-5)
    assert not any(key.startswith("category_head.") for key in load_file(whole / "model.safetensors"))
    again = replace(run, train=replace(run.train, init=str(whole), steps=1))
    train(again, tmp_path / "again")


def test_the_attention_loss_is_logged_weighed_and_learnt(tiny_run: RunConfig, tmp_path: Path) -> None:
    run = replace(tiny_run, train=replace(tiny_run.train, attention_weight=0.5, steps=40, learning_rate=3e-3))
    train(run, tmp_path / "watched")
    train(replace(run, train=replace(run.train, attention_weight=0.0, steps=2)), tmp_path / "unwatched")
    watched, unwatched = lines(tmp_path / "watched"), lines(tmp_path / "unwatched")
    first = watched[0]
    expected = first["loss/mask"] + first["loss/dice"] + 0.1 * first["loss/reconstruction"]
    assert first["loss/total"] == pytest.approx(expected + 0.5 * first["loss/attention"], rel=1e-5)
    assert all(line["loss/attention"] == 0 for line in unwatched)
    begun, ended = (sum(line["loss/attention"] for line in part) / len(part) for part in (watched[:10], watched[-10:]))
    assert ended < 0.9 * begun


def test_the_ranking_loss_is_logged_and_weighed(tiny_run: RunConfig, tmp_path: Path) -> None:
    run = replace(tiny_run, train=replace(tiny_run.train, ranking_weight=0.5, steps=1))
    train(run, tmp_path / "ranked")
    train(replace(run, train=replace(run.train, ranking_weight=0.0)), tmp_path / "plain")
    (logged,), (plain,) = (
        [line for line in lines(tmp_path / name) if "loss/total" in line] for name in ("ranked", "plain")
    )
    expected = logged["loss/mask"] + logged["loss/dice"] + 0.1 * logged["loss/reconstruction"]
    assert logged["loss/total"] == pytest.approx(expected + 0.5 * logged["loss/ranking"], rel=1e-5)
    assert logged["loss/ranking"] > 0 and plain["loss/ranking"] == 0


def test_the_category_loss_teaches_the_vision_half_alone(tiny_run: RunConfig) -> None:
    network = build_network(tiny_run.model, 32, 10, categories=5)
    pixels_BCHW = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    words_NL = torch.ones(2, 3, dtype=torch.long)
    output = network(pixels_BCHW, torch.tensor([0, 1]), words_NL, words_NL.bool(), reconstruct=True)
    assert output.category_logits_BPY is not None and output.category_logits_BPY.shape == (2, 64, 5)
    output.category_logits_BPY.sum().backward()
    taught = {name.split(".")[0] for name, weight in network.named_parameters() if weight.grad is not None}
    assert taught == {"vision", "category_head"}
    plain = network(pixels_BCHW, torch.tensor([0, 1]), words_NL, words_NL.bool())
    assert plain.category_logits_BPY is None


def test_numbers_too_small_to_matter_do_not_slow_a_training(tiny_run: RunConfig, tmp_path: Path) -> None:
    def tiny() -> float:
        return (torch.tensor([1e-39]) * 0.5).item()

    met: list[float] = []
    config = replace(tiny_run, train=replace(tiny_run.train, steps=1))
    train(config, tmp_path / "run", report=lambda *_: met.append(tiny()))
    assert met == [0]
    assert tiny() > 0  # and nothing is left behind in the process
    with pytest.raises(ConfigError):
        train(config, tmp_path / "run")
    assert tiny() > 0


def test_a_run_that_is_at_work_is_neither_started_nor_resumed_by_a_second_process(
    tiny_run: RunConfig, tmp_path: Path
) -> None:
    run = replace(tiny_run, train=replace(tiny_run.train, steps=2, save_every=1, validate_every=1))
    out, settings = tmp_path / "run", tmp_path / "run.yaml"
    settings.write_text(config_to_yaml(run))
    second = f"""
import sys
from pathlib import Path
from m3att.engine.train import train
from m3att.errors import ConfigError
from m3att.settings import config_from_file
for resume in (False, True):
    try:
        train(config_from_file(Path({str(settings)!r})), Path({str(out)!r}), resume)
    except ConfigError as error:
        print(error)
"""
    said: list[str] = []
    before: dict[Path, bytes] = {}

    def files() -> dict[Path, bytes]:
        # Not the lock: a process that opens and closes a file that it has locked lets go of it.
        return {
            path: path.read_bytes()
            for path in out.rglob("*")
            if path.suffix in (".json", ".jsonl", ".yaml", ".safetensors")
        }

    def report(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == 1:
            before.update(files())
            done = subprocess.run([sys.executable, "-c", second], capture_output=True, text=True, check=True)
            said.extend(done.stdout.splitlines())
            assert files() == before

    train(run, out, report=report)
    who = f"process {os.getpid()} on {socket.gethostname()}"
    assert said == [f"{out}: another process trains this run ({who}): wait for it to end, or name another --out"] * 2
    assert before and RunFolder(out).can_resume
