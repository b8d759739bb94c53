"""`m3att ablate --tune`: each row gets the rate that is best on a split that the table is not scored on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from m3att.ablations import TABLES
from m3att.app.ablation import run as ablation_run
from m3att.app.ablation.rates import read_tuned
from m3att.app.ablation.schedule import RESULT, Run, plan
from m3att.app.ablation.tune import Tuning, read_tuning, tune, tuning_runs
from m3att.app.cli import main
from m3att.engine.stopping import Stopping
from m3att.errors import ConfigError, DataError
from m3att.presets import PRESETS
from m3att.settings import config_to_dict

BASE = PRESETS["ablation-tiny"].config
TABLE = TABLES["2"]
TUNING = Tuning((1e-4, 4e-4, 1e-3), "testB")


def answering(scores: dict[tuple[str, float], float | None]) -> Callable[[list[Run]], None]:
    """Instead of training: each run leaves the score that is given for its row and rate; None is a failure."""

    def carry_out(runs: list[Run]) -> None:
        for run in runs:
            score = scores[run.row.name, run.config.train.learning_rate]
            result: dict[str, Any] = {"state": "failed", "reason": "the loss is nan"}
            if score is not None:
                result = {"state": "finished", "images_asked": None, "scores": {"mean_iou": score}}
            run.folder.mkdir(parents=True, exist_ok=True)
            (run.folder / RESULT).write_text(json.dumps(result))

    return carry_out


def refuse(runs: list[Run]) -> None:
    assert runs == []


ROWS = TABLE.find(["baseline-generic", "ours"])
SCORES: dict[tuple[str, float], float | None] = {
    ("baseline-generic", 1e-4): 0.2, ("baseline-generic", 4e-4): 0.3, ("baseline-generic", 1e-3): None,
    ("ours", 1e-4): 0.1, ("ours", 4e-4): 0.2, ("ours", 1e-3): 0.4,
}  # fmt: skip


def test_each_row_gets_its_own_best_rate_and_nothing_else_changes(tmp_path: Path) -> None:
    before = plan(BASE, TABLE, ROWS, [0, 1], tmp_path)
    assert {run.config.train.learning_rate for run in before} == {BASE.train.learning_rate}
    tune(BASE, TABLE, ROWS, TUNING, tmp_path, None, answering(SCORES))
    after = plan(BASE, TABLE, ROWS, [0, 1], tmp_path)
    assert [run.config.train.learning_rate for run in after] == [4e-4, 1e-3] * 2
    for old, new in zip(before, after, strict=True):
        was, now = config_to_dict(old.config), config_to_dict(new.config)
        was["train"].pop("learning_rate"), now["train"].pop("learning_rate")
        assert was == now and old.folder == new.folder
    found = read_tuned(BASE, TABLE, ROWS[0], tmp_path)
    expected = {"0.0001": 0.2, "0.0004": 0.3, "0.001": None}
    assert found == {"learning_rate": 4e-4, "split": "testB", "mean_iou": expected}


def test_tuning_runs_read_another_split_with_a_seed_of_no_table(tmp_path: Path) -> None:
    runs = [run for own in tuning_runs(BASE, TABLE, ROWS, TUNING, tmp_path).values() for run in own]
    assert len({run.folder for run in runs}) == 6
    assert {run.config.data.split for run in runs} == {"testB"} and BASE.data.split == "val"
    assert {run.config.train.seed for run in runs} == {1000}
    assert {run.config.train.steps for run in runs} == {BASE.train.steps}


def test_a_second_time_nothing_is_tuned_and_the_same_network_of_another_table_shares_it(tmp_path: Path) -> None:
    tune(BASE, TABLE, ROWS, TUNING, tmp_path, None, answering(SCORES))
    tune(BASE, TABLE, ROWS, TUNING, tmp_path, None, refuse)
    (shared,) = plan(BASE, TABLES["1"], TABLES["1"].find(["3-shared"]), [0], tmp_path)
    assert shared.config.train.learning_rate == 1e-3
    (other,) = plan(BASE, TABLES["1"], TABLES["1"].find(["2-shared"]), [0], tmp_path)
    assert other.config.train.learning_rate == BASE.train.learning_rate
    with pytest.raises(ConfigError, match=r"was tuned with --tune 0.0001,0.0004,0.001 --tune-split testB; give that"):
        tuning_runs(BASE, TABLE, ROWS, Tuning((1e-4, 4e-4), "testB"), tmp_path)


def test_a_row_that_fails_with_every_rate_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ours: failed with every learning rate of --tune; give lower ones"):
        tune(BASE, TABLE, ROWS[1:], TUNING, tmp_path, None, answering({key: None for key in SCORES}))


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "table-2" / "ours").mkdir(parents=True)
    (tmp_path / "table-2" / "ours" / "tuned.json").write_text("{}")
    with pytest.raises(DataError, match=r"tuned.json: not the result of a tuning; delete it"):
        plan(BASE, TABLE, ROWS, [0], tmp_path)


@pytest.mark.parametrize(
    ("rates", "split", "message"),
    [
        ("1e-3,1e-4", None, "--tune and --tune-split belong together"),
        (None, "testB", "--tune and --tune-split belong together"),
        ("1e-3,1e-4", "val", "val is the split that the table is scored on; give another one"),
        ("1e-3,1e-4", "train", "train is the split that the table trains on; give another one"),
        ("1e-3", "testB", "give two learning rates or more"),
        ("1e-3,fast", "testB", "give two learning rates or more"),
        ("1e-3,-1", "testB", "give two learning rates or more"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(rates: str | None, split: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_tuning(rates, split, "val")
    assert read_tuning(None, None, "val") is None


def test_the_command_tunes_trains_and_says_which_rates(
    small_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Truly trained, in this process."""

    def run_all(
        runs: Sequence[Run], images: int | None, jobs: int, lock: int, done: Callable[[Run, int], None]
    ) -> None:
        for run in runs:
            order = {"folder": str(run.folder), "config": config_to_dict(run.config), "images": images, "name": ""}
            ablation_run.execute(order | {"parent": os.getppid()}, Stopping())
            done(run, 0)

    monkeypatch.setattr("m3att.app.ablation.command.run_all", run_all)
    data = tmp_path / "data"
    assert main(["data", "shaperef", "--out", str(data), "--images", "train=4,val=3,testB=3", "--size", "64"]) == 0
    line = ["ablate", "--table", "2", "--rows", "ours", "--config", str(small_config), "--data.root", str(data)]
    line += ["--train.steps", "4", "--out", str(tmp_path / "runs"), "--tune", "1e-3,3e-3", "--tune-split", "testB"]
    capsys.readouterr()
    assert main(line) == 0
    out, err = capsys.readouterr()
    found = json.loads((tmp_path / "runs" / "table-2" / "ours" / "tuned.json").read_text())
    assert found["split"] == "testB" and list(found["mean_iou"]) == ["0.001", "0.003"]
    result = json.loads((tmp_path / "runs" / "table-2" / "ours" / "seed-0" / RESULT).read_text())
    assert result["learning_rate"] == found["learning_rate"] and result["scores"]["split"] == "val"
    assert f"ours: learning rate {found['learning_rate']} of 0.001: " in err
    assert f"Learning rate: {found['learning_rate']:g}." in out
