"""The command line: exit codes, one-line errors, settings in their order, and every command once for real."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from safetensors import safe_open

import m3att
from m3att.app import cli
from m3att.app.cli import main, one_line
from m3att.app.live import training_progress
from m3att.app.predict import split_words
from m3att.config import RunConfig
from m3att.data.shaperef.writer import write_refer
from m3att.engine.run_folder import RunFolder
from m3att.errors import DataError
from m3att.presets import PRESETS
from m3att.settings import config_from_dict

TRAIN = "train --preset shaperef-tiny --out run"
# Each starts a process, so it must not be needed for what main() can show.
PROCESS = [sys.executable, "-m", "m3att"]


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "serve"])
def test_what_is_missing_is_called_as_in_the_help(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(command.split())
    _, _, names = capsys.readouterr().err.partition("the following arguments are required: ")
    main([*command.split(), "--help"])
    shown = [line.split()[0].rstrip(",") for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    if not names:
        return
    names, _, advice = names.partition(";")
    assert advice.strip() == f"see m3att {command} --help"
    for name in names.strip().split(", "):
        assert name in shown and (name.startswith("--") or name == name.upper()), (name, shown)


def test_help_and_commands_import_no_torch() -> None:
    probe = (
        "import sys, time; start = time.process_time(); import m3att.app.cli as cli; "
        "code = cli.main(['--help']); seconds = time.process_time() - start; "
        "cli.main(['train', '--preset', 'shaperef-tiny', '--print-config']); "
        "print('loaded', [name for name in ('torch', 'cv2', 'numpy') if name in sys.modules], code, seconds)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded, seconds = done.stdout.splitlines()[-1].rsplit(" ", 1)
    assert loaded == "loaded [] 0"
    assert float(seconds) < 1.0  # of the processor; 0.15 here


def test_a_refusal_is_one_line_of_a_process_too() -> None:
    done = subprocess.run([*PROCESS, "train", "--preset", "none", "--out", "x"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "m3att: error: no preset 'none'; m3att presets lists them\n"


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROCESS, "train", "--preset", "shaperef-tiny", "--print-config"], stdout=writing, stderr=subprocess.PIPE
    )
    os.close(writing)
    assert done.returncode == 141
    assert done.stderr == b""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"m3att {m3att.__version__}\n"


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert all(f"  {name} " in out for name in cli.COMMANDS)
    assert err == ""
    assert main([]) == 2
    assert capsys.readouterr() == ("", out)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    assert f"m3att {name}" in capsys.readouterr().out


def test_train_help_shows_each_field_with_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "--model.decoder.layers LAYERS Number of M3Dec layers (Table I)." in words
    assert "--data.flip {true,false} Mirror half of the training images at random" in words
    assert "m3att train --preset shaperef-tiny-hour --out" in words


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian", "no command 'trian', did you mean train?"),
        ("xyz", "no command 'xyz'; see m3att --help"),
        ("data", "data: choose data shaperef or data check or data convert or data describe or data mix"),
        ("data chek", "data: choose data shaperef or data check or data convert or data describe or data mix"),
        ("train", "--out is missing"),
        ("train --out run", "what to train? give --preset NAME (`m3att presets` lists them) or --config FILE"),
        (f"{TRAIN} --train.stepps 3", "unknown option --train.stepps, did you mean --train.steps?"),
        (f"{TRAIN} --train.steps x", "train.steps: 'x' does not fit, give a whole number or null"),
        (f"{TRAIN} --train.steps 0", "train.steps: 0 is out of range, give 1 to 1e12"),
        (f"{TRAIN} --model.decoder.heads 7", "model.channels: 128 is no multiple of model.decoder.heads 7"),
        (f"{TRAIN} stray", "unrecognized arguments: stray"),
        ("train --config nowhere.yaml --out run", "nowhere.yaml: cannot be read"),
        ("train --out nowhere --resume", "nowhere: no run to resume (it has no config.yaml)"),
        ("train --preset ablation-tiny --train.steps 3 --train.epochs 2 --out x", "both say how long to train"),
        ("ablate --table 1 --preset ablation-tiny --train.steps 3 --train.epochs 2 --out x", "both say how long to"),
        ("evaluate", "give either --model (`bundled` is the default one) or --floor largest"),
        ("evaluate --model bundled --floor largest", "give either --model"),
        ("evaluate --floor smallest", "no floor 'smallest'; there is largest"),
        ("evaluate --model bundled --evaluate.threshold 1", "1.0 is out of range, give 0 up to, but not including, 1"),
        ("evaluate --model bundled --train.steps 2", "unknown option --train.steps"),
        ("evaluate --model bundled --threshold 0.4", "option --threshold, did you mean --evaluate.threshold?"),
        ("evaluate --model bundled --treshold 0.4", "option --treshold, did you mean --evaluate.threshold?"),
        (f"{TRAIN} --seed 3", "unknown option --seed, did you mean --data.seed or --train.seed?"),
        ("evaluate --model bundled --workers -1", "--workers: -1 is out of range, give 0 to 256"),
        ("evaluate --model bundled --threads 9999", "--threads: 9999 is out of range, give 1 to 1024"),
        ("evaluate --floor largest --workers 1", "--workers has no effect on a floor"),
        ("evaluate --floor largest --gallery a.png", "--gallery shows the masks of a model, and --floor has none"),
        ("evaluate --model bundled --gallery a.jpg", "--gallery a.jpg: is written as PNG"),
        ("evaluate --model bundled --gallery a.png --gallery-size 1", "--gallery-size: give 2 or more"),
        ("evaluate --model bundled --gallery-size 4", "--gallery-size needs --gallery FILE"),
        ("evaluate --model ./nowhere", "./nowhere: no such folder; bundled are photo"),
        ("evaluate --floor largest --data.dataset refcoco", "data set 'refcoco' needs a folder: give --data.root"),
        ("predict a.png --out out", "an expression is missing; see m3att predict --help"),
        ("predict a.png red/car --out out", "an expression is missing; 'red/car' was taken for an image; name"),
        ("predict --out out", "an image is missing"),
        ("predict a.png words", "the following arguments are required: --out"),
        ("predict a.png words --out out --treshold 0.5", "unknown option --treshold, did you mean --threshold?"),
        ("predict a.png words --out out --quite", "unknown option --quite; see m3att predict --help"),
        ("predict a.png words --out out --threshold x", "argument --threshold: invalid float value: 'x'"),
        ("data shaperef --out out --images 3x", "'3x' is neither a number nor like train=4000"),
        ("data shaperef --out out --images tset=3", "'tset=3' is neither a number nor like train=4000"),
        ("data shaperef --out out --images 0", "no images asked for"),
        ("data shaperef --out out --variant shape", "argument --variant: invalid choice: 'shape'"),
        ("data check nowhere --dataset refcoco", "nowhere/refcoco/refs(unc).p: cannot be read"),
        ("data check nowhere --dataset refcocos", "unknown data set 'refcocos'; known: refcoco, "),
        ("models all", "unrecognized arguments: all"),
    ],
)  # fmt: skip
def test_misuse_is_answered_in_one_line(
    line: str, message: str, refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(*line.split())
    assert list(tmp_path.iterdir()) == []


def test_a_forbidden_folder_is_answered_in_one_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "file").touch()
    assert "file" in refused("data", "shaperef", "--out", str(tmp_path / "file" / "below"), "--images", "1")


def test_our_own_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(words: Sequence[str], prog: str) -> int:
        raise OSError("no file in this")

    monkeypatch.setitem(cli.COMMANDS, "models", cli.Command(broken, ""))
    with pytest.raises(OSError, match="no file in this"):
        main(["models"])


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="has no device that is always full")
def test_a_full_disk_is_answered_in_one_line() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*PROCESS, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("m3att: error: No space left on device")
    assert done.stderr.count("\n") == 1


def test_an_error_from_a_reading_process_is_one_line() -> None:
    text = (
        'Caught DataError in DataLoader worker process 0.\nOriginal Traceback\n  File "x"\nm3att.errors.DataError: a: b'
    )
    assert one_line(DataError(text)) == "a: b"
    assert one_line(DataError("two\n  lines")) == "two lines"
    assert one_line(DataError()) == "DataError"


def printed_config(capsys: pytest.CaptureFixture[str], *words: str) -> RunConfig:
    capsys.readouterr()
    assert main(["train", *words, "--print-config"]) == 0
    return config_from_dict(yaml.safe_load(capsys.readouterr().out))


def test_preset_then_file_then_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("train: {steps: 11, batch_size: 12}\n", encoding="utf-8")
    preset = PRESETS["shaperef-tiny"].config
    assert printed_config(capsys, "--preset", "shaperef-tiny") == preset
    both = printed_config(capsys, "--preset", "shaperef-tiny", "--config", str(path))
    assert (both.train.steps, both.train.batch_size) == (11, 12)
    assert both.model == preset.model
    all_three = printed_config(capsys, "--preset", "shaperef-tiny", "--config", str(path), "--train.steps", "13")
    assert (all_three.train.steps, all_three.train.batch_size) == (13, 12)
    assert printed_config(capsys, "--config", str(path)).model == RunConfig().model
    assert printed_config(capsys) == RunConfig()


def test_epochs_that_are_given_win_over_the_steps_of_a_preset(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    preset = ("--preset", "shaperef-tiny-hour")
    steps = printed_config(capsys, *preset).train.steps
    path = tmp_path / "run.yaml"
    path.write_text("train: {epochs: 3}", encoding="utf-8")

    def length(*words: str) -> tuple[float, int | None]:
        train = printed_config(capsys, *preset, *words).train
        return train.epochs, train.steps

    assert steps is not None and length() == (50.0, steps)
    assert length("--train.epochs", "1") == (1.0, None)
    assert length("--config", str(path)) == (3.0, None)
    assert length("--config", str(path), "--train.steps", "7") == (3.0, 7)
    assert length("--config", str(path), "--train.epochs", "2") == (2.0, None)


def test_what_has_no_effect_is_said(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("train: {epochs: 3, steps: 5, schedule: step}", encoding="utf-8")
    words = ("--config", str(path), "--train.fall", "0.2", "--print-config")
    assert main(["train", *words]) == 0
    out, err = capsys.readouterr()
    assert yaml.safe_load(out)["train"]["steps"] == 5
    assert err.splitlines() == [
        "note: train.epochs 3 has no effect: train.steps 5 decides the length",
        "note: train.fall 0.2 has no effect: train.schedule is step",
    ]
    assert main(["train", "--preset", "refcoco-darknet53", "--print-config"]) == 0
    assert capsys.readouterr().err == ""  # a preset's own are nobody's surprise


def test_a_run_resumes_by_a_file_of_what_it_may_change(
    small_run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "more.yaml"
    saved = (small_run / "config.yaml").read_text("utf-8")
    path.write_text(saved.replace("log_every: 1", "log_every: 3"), encoding="utf-8")
    resume = ("--out", str(small_run), "--resume")
    assert printed_config(capsys, *resume, "--config", str(path)).train.log_every == 3
    assert printed_config(capsys, *resume).train.log_every == 1


def test_a_run_resumes_by_its_own_settings(small_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = config_from_dict(yaml.safe_load((small_run / "config.yaml").read_text("utf-8")))
    resume = ("--out", str(small_run), "--resume")
    assert saved.train.steps == 4
    assert printed_config(capsys, *resume) == saved
    assert printed_config(capsys, *resume, "--train.steps", "4") == saved
    moved = printed_config(capsys, *resume, "--data.root", "/elsewhere", "--train.workers", "3")
    assert (moved.data.root, moved.train.workers) == ("/elsewhere", 3)


def test_a_run_resumes_by_the_words_that_started_it(
    small_run: Path, small_config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "--config", str(small_config), "--out", str(small_run), "--resume"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--train.steps", "5"],
            "this run has train.steps 4, not 5; to go on after step 4, give --train.steps 5 --train.restarts '[4]'",
        ),
        (["--train.steps", "3"], "this run has train.steps 4, not 3; leave it out, or start another run"),
        (["--train.seed", "1"], "this run has train.seed 0, not 1"),
        (["--preset", "shaperef-tiny"], "this run has model.channels 16, not 128"),
    ],
)
def test_a_run_does_not_change_while_it_goes_on(
    small_run: Path, words: list[str], message: str, refused: Callable[..., str]
) -> None:
    assert message in refused("train", "--out", str(small_run), "--resume", *words)


def test_a_run_can_be_lengthened_where_its_schedule_allows(
    small_config: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    out = str(tmp_path / "run")
    start = ["train", "--config", str(small_config), "--out", out, "--train.schedule", "constant", "--train.steps", "2"]
    assert main(start) == 0
    assert main(["train", "--out", out, "--resume", "--train.steps", "3"]) == 0
    assert main(["train", "--out", out, "--resume"]) == 0  # the new length holds from then on
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert steps == [1, 2, 3]


def test_a_run_that_has_ended_takes_a_second_leg(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    resume = ["--out", str(small_run), "--resume", "--train.steps", "6"]
    longer = printed_config(capsys, *resume, "--train.restarts", "[4]")
    assert (longer.train.steps, longer.train.restarts) == (6, (4,))
    assert "this run has train.steps 4, not 6" in refused("train", *resume, "--train.restarts", "[3]")
    same = ["--out", str(small_run), "--resume", "--train.restarts", "[4]"]
    assert "this run has train.restarts [], not [4]; leave it out" in refused("train", *same)


@pytest.mark.parametrize("length", [["--train.steps", "2"], ["--train.epochs", "2"]])
def test_the_advice_to_take_a_second_leg_is_right_to_the_letter(
    small_config: Path,
    tmp_path: Path,
    length: list[str],
    refused: Callable[..., str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The run of epochs has one step in each, as its checkpoint knows."""
    out, root = tmp_path / "run", tmp_path / "data"
    write_refer(root, "shaperef", {"train": 2, "val": 2}, seed=1, size=64)
    data = ["--data.root", str(root), "--data.dataset", "shaperef", "--train.batch_size", "100"]
    cosine = ["--train.schedule", "cosine", "--train.validate_every", "100"]
    assert main(["train", "--config", str(small_config), "--out", str(out), *data, *length, *cosine]) == 0
    wanted = ["train", "--out", str(out), "--resume", "--train.steps"]
    for steps, ended in (("4", "[2]"), ("5", "[2, 4]")):
        capsys.readouterr()
        message = refused(*wanted, steps)
        advice = message.partition("give ")[2]
        assert advice == f"--train.steps {steps} --train.restarts '{ended}'", message
        assert main(["train", "--out", str(out), "--resume", *shlex.split(advice)]) == 0
        assert RunFolder(out).last_metrics()["step"] == int(steps)


def test_a_run_is_not_started_over(small_run: Path, small_config: Path, refused: Callable[..., str]) -> None:
    message = refused("train", "--config", str(small_config), "--out", str(small_run))
    assert message.startswith(f"{small_run} holds a run already: add --resume")


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 75, "stopped by SIGTERM")]
)
def test_a_run_that_is_asked_to_stop_saves_its_last_step_and_says_how_to_go_on(
    small_config: Path, tmp_path: Path, number: signal.Signals, code: int, words: str
) -> None:
    """The signal reaches the reading process too, as Ctrl-C in a terminal and the SIGTERM of a cluster do."""
    out = tmp_path / "run"
    options = ["--train.steps", "100000", "--train.save_every", "100000", "--train.workers", "1"]
    command = [*PROCESS, "train", "--config", str(small_config), "--out", str(out), *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        for _ in range(1200):
            if (out / "metrics.jsonl").exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        os.killpg(process.pid, number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert err.endswith(f"m3att: {words}; go on with: m3att train --out {out} --resume\n")
    with safe_open(out / "checkpoint.safetensors", framework="pt") as file:
        saved = json.loads(file.metadata()["position"])["step"]
    assert saved == RunFolder(out).last_metrics()["step"]


@pytest.mark.parametrize(
    ("library", "advice"), [("yaml", ""), ("torch", "; no checkpoint was written yet; the same command starts again")]
)
def test_a_run_that_is_asked_to_stop_while_it_loads_its_libraries_can_be_started_again(
    tmp_path: Path, library: str, advice: str
) -> None:
    """A cluster may want its machine back at once."""
    (tmp_path / f"{library}.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [*PROCESS, "train", "--preset", "ablation-tiny", "--out", "run", "--resume"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None and process.stderr is not None
        while "loading" not in (line := process.stdout.readline()):
            assert line, process.stderr.read()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == (75, f"m3att: stopped by SIGTERM{advice}")
    assert "Traceback" not in err and not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_resume_starts_a_run_that_was_killed_before_its_first_checkpoint(
    small_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    out = tmp_path / "run"
    line = ["train", "--config", str(small_config), "--out", str(out), "--resume"]
    assert "no run to resume (it has no config.yaml)" in refused("train", "--out", str(out), "--resume")
    for _ in range(2):  # killed before it wrote anything; then, before its first checkpoint
        assert main(line) == 0
        assert "note: " + f"{out} has no checkpoint yet: the run starts anew" in capsys.readouterr().err
        assert RunFolder(out).last_metrics()["step"] == 4
        for path in RunFolder(out).checkpoints:
            path.unlink()
    assert main(["train", "--out", str(out), "--resume"]) == 0
    assert main(line) == 0
    assert "anew" not in capsys.readouterr().err.splitlines()[-1]


def test_data_check_finds_a_sound_set_sound_and_a_broken_one_broken(
    shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    path = tmp_path / "check.json"
    assert main(["data", "check", str(shaperef), "--dataset", "shaperef", "--json", str(path)]) == 0
    assert capsys.readouterr().out.endswith("\nnote: no photo was opened; --read decodes every photo\nsound\n")
    assert main(["data", "check", str(shaperef), "--dataset", "shaperef", "--read"]) == 0
    assert "--read" not in capsys.readouterr().out
    assert json.loads(path.read_text("utf-8"))["splits"]["val"]["images"] == 3
    copy = tmp_path / "copy"
    instances = json.loads((shaperef / "shaperef" / "instances.json").read_text("utf-8"))
    instances["annotations"].append(instances["annotations"][0])
    (copy / "shaperef").mkdir(parents=True)
    (copy / "shaperef" / "instances.json").write_text(json.dumps(instances), encoding="utf-8")
    (copy / "shaperef" / "refs(unc).p").write_bytes((shaperef / "shaperef" / "refs(unc).p").read_bytes())
    assert main(["data", "check", str(copy), "--dataset", "shaperef"]) == 1
    out = capsys.readouterr().out
    assert "fault: annotation ids that stand twice: " in out
    assert out.endswith("not sound: see the faults above\n")


def test_predict_writes_what_it_is_asked_for(
    small_run: Path, shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = sorted((shaperef / "images" / "shaperef").glob("*.jpg"))[:2]
    words = [str(images[0]), "the car", "--out", str(tmp_path), str(images[1]), "the red one"]
    assert main(["predict", *words, "--model", str(small_run / "last")]) == 0
    assert len(list(tmp_path.glob("*_mask.png"))) == 4
    assert "ShapeRef's drawn scenes" in capsys.readouterr().err


def test_images_are_told_from_expressions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo").touch()
    words = ["first", "the man/woman in red", "b.JPG", "d.heic", "dir/c", "photo", "cup", "x" * 5000, ""]
    images, expressions = split_words(words)
    assert images == ["first", "b.JPG", "d.heic", "dir/c", "photo"]
    assert expressions == ["the man/woman in red", "cup", "x" * 5000, ""]


@pytest.mark.parametrize("line", ["-- a.png words", "words --images a.png", "a.png words", "--model m a.png words"])
def test_predict_hands_on_what_it_was_given(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, Any]] = []
    monkeypatch.setattr("m3att.app.predictions.run_predict", lambda *words, **_: calls.append(words) or 0)
    assert main(["predict", "--out", "out", *line.split()]) == 0
    assert calls == [(["a.png"], ["words"])]


def test_models_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("m3att.model_folder.BUNDLED", tmp_path)
    assert main(["models"]) == 0
    assert "no model comes with this installation" in capsys.readouterr().out
    for name, world in (("photo", ""), ("other", "drawn scenes")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"m3att": 1, "world": world}), encoding="utf-8")
        (tmp_path / name / "model.safetensors").write_bytes(bytes(2_500_000))
    assert main(["models"]) == 0
    _, other, photo = (line.split() for line in capsys.readouterr().out.splitlines())
    assert other == ["other", "2.5", "MB", "drawn", "scenes"]
    assert photo == ["photo", "(default)", "2.5", "MB", "photos"]


def test_training_reports_in_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with training_progress() as report:
        report(1, 9, {"loss/total": 1.0, "expressions_per_second": 50.0})
        report(2, 9, {"loss/total": 0.5, "expressions_per_second": 50.0, "val/mean_iou": 0.25})
    assert capsys.readouterr().err == "step 2 of 9, loss 0.5000, 50 expressions/s, mean IoU 0.250\n"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--preset", "photo", "--out", "a\0b"],
        ["train", "--config", "a\0b"],
        ["report", "a\0b"],
        ["predict", "--model", "photo", "photo.jpg", "a dog\0"],
        ["\0"],
    ],
)
def test_a_word_with_nul_is_refused_in_one_line(words: list[str], refused: Callable[..., str]) -> None:
    assert "no name and no expression can hold the character NUL" in refused(*words)
