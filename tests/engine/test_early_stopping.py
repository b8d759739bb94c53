"""Early stopping: a run ends after validations without a better one, also over an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from m3att.config import RunConfig, TrainConfig
from m3att.engine.checkpoint import Position, read_header
from m3att.engine.overview import early_end, idle_phases
from m3att.engine.run_folder import RunFolder
from m3att.engine.scores import Scores
from m3att.engine.stopping import Stopping
from m3att.engine.train import train


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Makes a training validate with the given figures, one after the other."""
    figures: list[float] = []
    monkeypatch.setattr(Scores, "agreement", property(lambda _: figures.pop(0)))
    yield figures


def patient(run: RunConfig, patience: int = 2) -> RunConfig:
    return replace(
        run,
        train=replace(
            run.train, steps=9, patience=patience, validate_every=1, validate_images=1, save_every=5, log_every=100
        ),
    )


def steps_of(out: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def test_a_run_ends_after_validations_without_a_better_one(
    tiny_run: RunConfig, tmp_path: Path, scored: list[float]
) -> None:
    scored += [0.2, 0.1, 0.3, 0.3, 0.2]  # the same is no better
    said: list[str] = []
    last = train(patient(tiny_run), tmp_path, announce=said.extend)
    assert last.is_dir() and steps_of(tmp_path) == [1, 2, 3, 4, 5]
    position, _ = read_header(RunFolder(tmp_path).checkpoint)
    assert (position.step, position.stale, position.best_mean_iou) == (5, 2, 0.3)
    assert said[-1] == (
        "stopped early at step 5 of 9: the last 2 validations had no better mean IoU than 0.300, as train.patience says"
    )
    more: list[str] = []
    train(patient(tiny_run), tmp_path, resume=True, announce=more.extend)  # it has ended, and takes no step
    assert more[-1] == (
        f"note: the run has ended already, and nothing is trained: {said[-1]}; a larger --train.patience goes on"
    )
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5]
    scored += [0.1] * 7
    train(patient(tiny_run, patience=5), tmp_path, resume=True)  # more patience: it goes on, and has waited twice
    assert steps_of(tmp_path) == [*range(1, 9)]


def test_an_interruption_does_not_change_the_end(tiny_run: RunConfig, tmp_path: Path, scored: list[float]) -> None:
    def stop_at_three(step: int, steps: int, figures: dict[str, float]) -> None:
        if step == 3:
            stop.signal = 15

    stop = Stopping()
    scored += [0.5, 0.4, 0.3, 0.2]
    with pytest.raises(Exception, match="SIGTERM"):
        train(patient(tiny_run, patience=4), tmp_path, report=stop_at_three, stop=stop)
    # The request came after the third step, so the fourth is the last.
    assert read_header(RunFolder(tmp_path).checkpoint)[0].stale == 3
    scored += [0.1]
    train(patient(tiny_run, patience=4), tmp_path, resume=True)
    assert steps_of(tmp_path) == [1, 2, 3, 4, 5]


def test_without_patience_a_run_goes_to_its_end(tiny_run: RunConfig, tmp_path: Path, scored: list[float]) -> None:
    scored += [0.5, *[0.1] * 8]
    train(patient(tiny_run, patience=0), tmp_path)
    assert steps_of(tmp_path) == [*range(1, 10)]
    assert early_end(read_header(RunFolder(tmp_path).checkpoint)[0], 9) == []


@pytest.mark.parametrize(("stale", "patience", "ends"), [(2, 3, False), (3, 3, True), (9, 0, False), (4, 3, True)])
def test_when_a_run_is_over(stale: int, patience: int, ends: bool) -> None:
    assert Position(step=5, stale=stale).has_ended(10, patience) is ends
    assert Position(step=10, stale=0).has_ended(10, patience)


def test_patience_for_more_validations_than_a_run_has_is_named() -> None:
    def lines(patience: int) -> list[str]:
        return list(idle_phases(RunConfig(train=TrainConfig(warmup=0, validate_every=4, patience=patience)), 9))

    assert lines(3) == ["train.patience 3 has no effect: the run validates 3 times in all"]
    assert lines(2) == lines(0) == []
