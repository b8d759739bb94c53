"""What a run starts from: a bundled model that fits, or the last model of a run that comes before."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from m3att import presets
from m3att.app.cli import main
from m3att.config import RunConfig, TrainConfig
from m3att.engine.origin import EARLIER, bundled_for, earlier_runs, named_start
from m3att.engine.run_folder import RunFolder
from m3att.errors import ConfigError
from m3att.model_folder import FORMER, bundled_models, find_model
from m3att.presets import PRESETS, Preset
from m3att.settings import config_to_yaml


@pytest.fixture
def chain(tiny_run: RunConfig, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Presets `one`, `two` and `three`, each of which starts from the last model of the one before."""
    run = replace(tiny_run, train=replace(tiny_run.train, steps=2, warmup=0, validate_every=2, save_every=1, workers=0))
    before = None
    known = dict(PRESETS)
    for number, name in enumerate(("one", "two", "three")):
        run = replace(run, train=replace(run.train, init=before, seed=number))
        known[name] = Preset(run, name)
        before = f"preset:{name}"
    monkeypatch.setattr(presets, "PRESETS", known)
    return run


def test_runs_before_are_trained_in_order_and_once(
    chain: RunConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert [run.preset for run in earlier_runs(chain, out)] == ["one", "two"]
    line = ["train", "--preset", "three", "--train.threads", "1", "--out", str(out)]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert f"trained first, in {out / EARLIER}: one (2 steps), two (2 steps)" in said
    one, two = (RunFolder(out / EARLIER / name) for name in ("one", "two"))
    assert one.read_config().train.init is None and two.read_config().train.init == str(one.last)
    assert RunFolder(out).read_config().train.init == str(two.last)
    assert one.read_config().train.threads == two.read_config().train.threads == 1
    # The same command after a kill between two runs: what has ended is not trained again.
    kept = one.checkpoint.stat().st_mtime_ns, two.checkpoint.stat().st_mtime_ns
    for path in RunFolder(out).checkpoints:
        path.unlink()
    assert main(line) == 0
    assert f"two: has ended: {two.last}" in capsys.readouterr().out
    assert kept == (one.checkpoint.stat().st_mtime_ns, two.checkpoint.stat().st_mtime_ns)
    assert main(["train", "--preset", "three", "--train.threads", "1", "--out", str(out), "--resume"]) == 0


@pytest.mark.parametrize("code", [130, 75], ids=["interrupted", "stopped by SIGTERM"])
def test_an_interrupted_run_before_goes_on_by_the_same_command(
    chain: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    line = ["train", "--preset", "two", "--out"]
    assert main([*line, str(straight)]) == 0

    from m3att.engine import train as module

    step, count = module.train_step, 0

    def stopping(*arguments: object) -> object:
        nonlocal count
        count += 1
        if count == 1 and code == 75:
            os.kill(os.getpid(), signal.SIGTERM)
        if count == 2 and code == 130:
            raise KeyboardInterrupt
        return step(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "train_step", stopping)
    assert main([*line, str(broken)]) == code
    assert "the same command goes on" in capsys.readouterr().err
    assert main([*line, str(broken)]) == 0
    ours, theirs = (load_file(RunFolder(out).last / "model.safetensors") for out in (broken, straight))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


def test_a_run_before_that_does_not_exist_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["train", "--preset", "shaperef-tiny-hour", "--train.init", "preset:nothing", "--out", str(tmp_path / "run")]
    assert main(line) == 2
    assert "no preset 'nothing'" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="no preset"):
        earlier_runs(RunConfig(train=TrainConfig(init="preset:nothing")), tmp_path)


def test_a_dry_run_says_what_comes_before(chain: RunConfig, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--preset", "two", "--dry-run"]) == 0
    assert "note: the run of preset one comes before" in capsys.readouterr().out


def test_only_train_trains_what_comes_before(chain: RunConfig, tmp_path: Path) -> None:
    from m3att.engine.train import train

    with pytest.raises(ConfigError, match="trained first by m3att train alone"):
        train(chain, tmp_path / "run")


@pytest.mark.parametrize("name", bundled_models())
def test_bundled_is_the_model_whose_network_fits(name: str) -> None:
    own = PRESETS[name].config
    assert bundled_for(own.model) == name
    assert named_start(replace(own, train=TrainConfig(init="bundled"))).train.init == name
    assert named_start(own) == own


def test_a_run_from_bundled_keeps_the_models_name(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ["--train.steps", "1", "--train.batch_size", "2", "--train.validate_images", "1", "--train.warmup", "0"]
    line = ["train", "--preset", "shaperef-tiny-hour", "--train.init", "bundled", *options, "--out", str(out)]
    assert main(line) == 0
    assert RunFolder(out).read_config().train.init == "shaperef-tiny"
    assert "init: shaperef-tiny" in config_to_yaml(RunFolder(out).read_config())
    assert main([*line, "--resume"]) == 0


@pytest.mark.parametrize("name", FORMER)
def test_former_models_have_a_successor(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert find_model(name) == find_model(FORMER[name])
    assert capsys.readouterr().err == f"note: {name} is no longer bundled: {FORMER[name]} stands for it\n"
