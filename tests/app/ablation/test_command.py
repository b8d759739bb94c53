"""`m3att ablate`: killed and resumed it gives the table of runs that were never killed; a failed run stops no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from m3att.ablations import TABLES
from m3att.app.ablation import run as ablation_run
from m3att.app.ablation import schedule as ablation_runs
from m3att.app.ablation.schedule import Run, check_folder, plan, read_result
from m3att.app.cli import main
from m3att.config import RunConfig
from m3att.engine.position import position_of
from m3att.engine.run_folder import RunFolder
from m3att.engine.stopping import Stopping
from m3att.errors import ConfigError, DataError
from m3att.presets import PRESETS
from m3att.settings import config_from_file, config_to_dict, config_to_yaml

STEPS = 12
ROWS = ("baseline-generic", "ours")


def words(config: Path, out: Path, *more: str) -> list[str]:
    settings = ["--config", str(config), "--train.steps", str(STEPS), "--train.validate_every", "100"]
    return ["ablate", "--table", "2", *settings, "--out", str(out), *more]


def here(run: Run, images: int | None = None, parent: int | None = None) -> None:
    """Carry a run out in this process."""
    order = {"folder": str(run.folder), "config": config_to_dict(run.config), "images": images, "name": ""}
    ablation_run.execute(order | {"parent": os.getppid() if parent is None else parent}, Stopping())


@pytest.fixture
def runs_here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces the processes; returns the names of the runs that were carried out."""
    names: list[str] = []

    def run_all(
        runs: Sequence[Run], images: int | None, jobs: int, lock: int, done: Callable[[Run, int], None]
    ) -> None:
        for run in runs:
            names.append(run.name)
            here(run, images)
            done(run, 0)

    monkeypatch.setattr("m3att.app.ablation.command.run_all", run_all)
    return names


def table_of(out: Path) -> dict[str, Any]:
    """A written table without what differs from time to time."""
    found: dict[str, Any] = json.loads((out / "table-2.json").read_text("utf-8"))
    del found["minutes"], found["equal_minutes"]
    for row in found["rows"]:
        del row["seconds"], row["equal_time"]
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_killed_and_resumed_it_gives_the_same_table(
    small_config: Path, tmp_path: Path, runs_here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tmp_path / "whole"
    assert main(words(small_config, whole, "--rows", ",".join(ROWS))) == 0
    assert runs_here == [f"table 2, {row}, seed 0" for row in ROWS]
    runs_here.clear()

    out = tmp_path / "killed"
    folders = [out / "table-2" / row / "seed-0" for row in ROWS]
    saved = [folder / "checkpoint.safetensors" for folder in folders]
    line = words(small_config, out, "--rows", ",".join(ROWS), "--jobs", "2", "--train.log_every", "1")
    process = subprocess.Popen([sys.executable, "-m", "m3att", *line], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for(lambda: process.poll() is not None or any(path.exists() for path in saved))
        assert process.poll() is None
    finally:
        process.kill()
    process.communicate(timeout=60)  # ends when the runs, which hold its pipes, have ended too
    assert any(read_result(one) is None for one in folders)
    assert main(line) == 0  # waits for the stray runs' lock
    assert set(runs_here) <= {f"table 2, {row}, seed 0" for row in ROWS}
    assert table_of(out) == table_of(whole)

    # All is done: the third time nothing is trained, and --report writes what stands there.
    runs_here.clear()
    written = (out / "table-2.md").read_text("utf-8")
    assert "#4 Ours (1 seed)" in (out / "table-2-curves.svg").read_text("utf-8")
    (out / "table-2.md").unlink()
    capsys.readouterr()
    assert main(["ablate", "--table", "2", "--out", str(out), "--report"]) == 0
    assert (out / "table-2.md").read_text("utf-8") == written == capsys.readouterr().out.removesuffix("\n")
    assert "**Partial: 2 of 6 runs finished.**" in written
    assert main(line) == 0
    assert runs_here == []


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [(signal.SIGINT, 130, "m3att: interrupted"), (signal.SIGTERM, 75, "m3att: stopped by SIGTERM")],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_ends_all_runs_with_a_checkpoint_and_says_how_to_go_on(
    small_config: Path, tmp_path: Path, number: int, code: int, said: str
) -> None:
    line = words(small_config, tmp_path, "--rows", "ours", "--train.steps", "100000")
    line += ["--train.save_every", "100000"]
    process = subprocess.Popen([sys.executable, "-m", "m3att", *line], stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "table-2" / "ours" / "seed-0" / "checkpoint.safetensors"
    try:
        metrics = checkpoint.with_name("metrics.jsonl")
        wait_for(lambda: process.poll() is not None or (metrics.is_file() and bool(metrics.read_text("utf-8"))))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert err.endswith(f"{said}; what is finished stays; go on with the same words\n")
    folder = RunFolder(checkpoint.parent)
    position = position_of(checkpoint)
    assert position is not None and position.step == folder.last_metrics()["step"]  # no step is lost
    saved = checkpoint.stat().st_mtime_ns
    time.sleep(0.3)
    assert checkpoint.stat().st_mtime_ns == saved


def test_a_failed_run_is_recorded_and_the_others_go_on(
    small_config: Path, tmp_path: Path, runs_here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    # With LFR's loss alone the row without LFR has nothing to learn from, and the other one runs away.
    more = ("--rows", "imi,ours", "--train.reconstruction_weight", "1e12", "--train.learning_rate", "1e12")
    more += ("--train.clip", "0", "--train.warmup", "0", "--train.optimizer", "adam", "--train.mask_weight", "0")
    assert main(words(small_config, tmp_path, *more)) == 1
    out, err = capsys.readouterr()
    assert runs_here == ["table 2, imi, seed 0", "table 2, ours, seed 0"]
    assert "| #4 Ours | failed | failed | failed |" in out
    assert "Failed: ours, seed 0: the " in out
    assert (read_result(tmp_path / "table-2" / "imi" / "seed-0") or {})["state"] == "finished"
    result = read_result(tmp_path / "table-2" / "ours" / "seed-0")
    assert result is not None and result["state"] == "failed"
    assert "seed 0: failed; to try again, delete" in err
    runs_here.clear()
    assert main(words(small_config, tmp_path, *more)) == 1
    assert runs_here == []


def test_other_settings_are_refused(
    small_config: Path, tmp_path: Path, runs_here: list[str], refused: Callable[..., str]
) -> None:
    base = config_from_file(small_config)
    (tmp_path / "config.yaml").write_text(config_to_yaml(base), encoding="utf-8")
    message = refused(*words(small_config, tmp_path))
    assert message == f"{tmp_path}: was made with train.steps 4, not {STEPS}; give that, or another --out"
    rows = TABLES["2"].find(ROWS)
    (run, _) = plan(base, TABLES["2"], rows, [0], tmp_path)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(config_to_yaml(base), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"baseline-generic/seed-0: was made with model.decoder.layers 1, not 3"):
        check_folder(base, [run], tmp_path)
    assert runs_here == []


def test_rows_that_are_one_network_share_a_run(tmp_path: Path) -> None:
    base = PRESETS["ablation-tiny"].config
    table = TABLES["open"]
    runs = plan(base, table, table.rows, [0], tmp_path)
    assert len(runs) == 22 and len({run.folder for run in runs}) == 12
    (ours,) = plan(base, TABLES["2"], TABLES["2"].find(["ours"]), [0], tmp_path)
    ours.folder.mkdir(parents=True)
    (ours.folder / "config.yaml").write_text(config_to_yaml(ours.config), encoding="utf-8")
    shared = {run.row.name for run in plan(base, table, table.rows, [0], tmp_path) if run.folder == ours.folder}
    assert shared == {
        "early-fusion-off",
        "fusion-norm-off",
        "fusion-vision-off",
        "norm-everywhere-off",
        "figure-6-off",
        "unit-convolutions-1",
        "interaction-code-on",
        "clip-on",
        "lfr-gradient-stopped",
        "padding-masked",
        "sampling-grouped",
    }
    assert plan(base, TABLES["1"], TABLES["1"].find(["3-shared"]), [0], tmp_path)[0].folder == ours.folder
    assert plan(base, TABLES["1"], TABLES["1"].find(["3-shared"]), [1], tmp_path)[0].folder != ours.folder


def test_all_rows_of_a_seed_come_before_the_next_seed(tmp_path: Path) -> None:
    runs = plan(PRESETS["ablation-tiny"].config, TABLES["3"], TABLES["3"].rows, [0, 1], tmp_path)
    assert [(run.seed, run.row.name) for run in runs] == [
        (seed, row) for seed in (0, 1) for row in ("decoder-only", "concatenate", "ours")
    ]
    assert all(run.config.train.seed == run.seed for run in runs)


def test_a_run_that_was_scored_on_other_images_is_scored_anew(
    small_config: Path, tmp_path: Path, runs_here: list[str]
) -> None:
    assert main(words(small_config, tmp_path, "--rows", "ours")) == 0
    trained = (tmp_path / "table-2" / "ours" / "seed-0" / "checkpoint.safetensors").stat().st_mtime_ns
    assert table_of(tmp_path)["scored_on"]["images"] == 3
    assert main(words(small_config, tmp_path, "--rows", "ours", "--images", "2")) == 0
    assert table_of(tmp_path)["scored_on"]["images"] == 2
    assert (tmp_path / "table-2" / "ours" / "seed-0" / "checkpoint.safetensors").stat().st_mtime_ns == trained
    assert len(runs_here) == 2


def test_a_run_whose_command_is_gone_stops(small_config: Path, tmp_path: Path) -> None:
    (run,) = plan(config_from_file(small_config), TABLES["2"], TABLES["2"].find(["ours"]), [0], tmp_path)
    with pytest.raises(SystemExit, match="has ended"):
        here(run, parent=os.getpid())  # nobody's parent here
    assert read_result(run.folder) is None


def test_a_folder_is_held_by_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablation_runs, "LOCK_SECONDS", 0.0)
    held = pytest.raises(ConfigError, match="another m3att ablate works in this folder")
    with ablation_runs.hold(tmp_path), held, ablation_runs.hold(tmp_path):
        pass
    with ablation_runs.hold(tmp_path):
        pass


def test_several_tables_are_one_command_and_share_their_equal_rows(
    small_config: Path, tmp_path: Path, runs_here: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["ablate", "--config", str(small_config), "--train.steps", "2", "--out", str(tmp_path), "--images", "4"]
    assert main([*line, "--table", "3, 2,3"]) == 0
    tables = {name: json.loads((tmp_path / f"table-{name}.json").read_text("utf-8")) for name in "23"}
    assert all(table["whole"] for table in tables.values())
    ours = [next(row for row in table["rows"] if row["name"] == "ours") for table in tables.values()]
    assert ours[0]["figures"]["mean_iou"]["values"] == ours[1]["figures"]["mean_iou"]["values"]
    assert len(runs_here) == len(TABLES["2"].rows) + len(TABLES["3"].rows) - 1
    assert runs_here[0].startswith("table 3")
    printed = capsys.readouterr().out
    assert printed.index("Table III") < printed.index("Table II: ")
    assert main(["ablate", "--table", "2,3", "--out", str(tmp_path), "--report"]) == 0
    assert capsys.readouterr().out.count("### Table") == 2


def test_a_second_table_that_does_not_fit_the_folder_is_refused_before_the_first_is_trained(
    small_config: Path,
    tmp_path: Path,
    runs_here: list[str],
    refused: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = ["ablate", "--config", str(small_config), "--out", str(tmp_path), "--images", "4"]
    assert main([*line, "--train.steps", "2", "--table", "2", "--rows", "imi"]) == 0
    capsys.readouterr()
    assert "was made with train.steps 2, not 3" in refused(*line, "--train.steps", "3", "--table", "3,2")
    assert len(runs_here) == 1


def test_epochs_win_over_a_preset_s_steps_and_what_rows_set_themselves_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bases: list[RunConfig] = []
    monkeypatch.setattr("m3att.app.ablation.command.run_table", lambda base, *_: bases.append(base) or 0)
    line = ["ablate", "--table", "1", "--preset", "ablation-tiny", "--out", str(tmp_path)]
    assert main([*line, "--train.epochs", "2", "--model.decoder.layers", "2", "--train.fall", "0.5"]) == 0
    assert (bases[0].train.epochs, bases[0].train.steps) == (2.0, None)
    assert "note: --model.decoder.layers has no effect on rows that set it themselves" in capsys.readouterr().err
    assert main(line) == 0
    assert bases[1].train.steps is not None and capsys.readouterr().err == ""


def test_tables_are_trained_by_one_process(
    small_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "the launcher started 2 (WORLD_SIZE)" in refused(*words(small_config, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_torn_result_is_answered_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="not the result of a run; delete it"):
        read_result(tmp_path)


def test_a_system_without_file_locks_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows, where the other commands work
    with pytest.raises(ConfigError, match="m3att ablate needs file locks"), ablation_runs.hold(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--out x", "--table is missing"),
        ("--table 2", "--out is missing"),
        ("--table 5 --out x", "no table '5'; there are 1, 2, 3, open"),
        ("--table 2 --out x", "what to train? give --preset"),
        ("--table 2 --out x --preset ablation-tiny --rows our", "no row 'our' in table 2, did you mean ours?"),
        ("--table 1,5 --out x", "no table '5'; there are 1, 2, 3, open"),
        ("--table 2,3 --out x --preset ablation-tiny --rows ours", "--rows is for one table; give --table one name"),
        ("--table 2,3 --out x --report", "x: no ablation runs there"),
        ("--table 2 --out x --preset ablation-tiny --seeds 0", "--seeds is 1 or more"),
        ("--table 2 --out x --preset ablation-tiny --jobs 0", "--jobs is 1 or more"),
        ("--table 2 --out x --preset ablation-tiny --seeds x", "--seeds: 'x' does not fit; see --help"),
        ("--table 2 --out x --report", "x: no ablation runs there"),
        ("--table 2 --out x --report --seeds 2", "--report only writes the table again: leave out --seeds"),
        ("--table 2 --out x --report --train.steps 2", "--report only writes the table again: leave out --train"),
    ],
)
def test_misuse_is_answered_in_one_line(
    line: str, message: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused("ablate", *line.split())
    assert list(tmp_path.iterdir()) == []
