"""`m3att finetune` as it is typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from m3att.app.cli import main
from m3att.app.finetune import show_changes, what_changed
from m3att.data.text import Tokenizer
from m3att.engine.run_folder import RunFolder
from m3att.pretrained import load_model

QUICK = ["--train.steps", "2", "--train.batch_size", "4", "--train.validate_every", "1", "--train.validate_images", "2",
         "--train.workers", "0", "--train.threads", "1"]  # fmt: skip


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Five photos as CVAT exports them, with a word that no model knows."""
    shapes = ""
    for number in range(5):
        (tmp_path / "own/images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((32, 48, 3), 40 * number, np.uint8)).save(tmp_path / f"own/images/{number}.png")
        shapes += (
            f'<image id="{number}" name="{number}.png" width="48" height="32"><polygon label="part" '
            'points="4,4;20,4;20,20"><attribute name="expression">the morlet</attribute></polygon></image>'
        )
    (tmp_path / "own/annotations.xml").write_text(f"<annotations>{shapes}</annotations>", encoding="utf-8")
    return tmp_path / "own"


def test_one_command_teaches_a_model_new_words_and_scores_new_and_old(
    small_run: Path, shaperef: Path, own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["finetune", str(own), "--from", str(small_run / "last"), "--old", str(shaperef / "shaperef")]
    words += ["--out", str(out), "--json", str(tmp_path / "found.json"), *QUICK]
    assert main(words) == 0
    said, noted = capsys.readouterr()
    assert "and 1 new: morlet" in said and "without --old" not in noted
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert found["before"] == {name: lines[0][name] for name in found["before"]}
    assert {"val/mean_iou", "old/mean_iou", "old/precision_0.5"} <= set(found["before"])
    for line in lines:
        assert line["agreement"] == pytest.approx((line["val/mean_iou"] + line["old/mean_iou"]) / 2)
    best = max(lines[1:], key=lambda line: float(line["agreement"]))
    assert found["after"] == {name: best[name] for name in found["after"]} and found["best_step"] == best["step"]
    assert f"m3att serve --model {out / 'best'}" in said
    before, after = (Tokenizer.from_file(folder / "tokenizer.json", 15) for folder in (small_run, out / "best"))
    assert after.words_after(before.size) == ["morlet"]
    config = load_model(out / "best").config
    assert config.model.channels == 16 and config.data.old == (str(shaperef / "shaperef"),)
    # The same command goes on with the run, which has ended; another one is refused.
    assert main([*words, "--resume"]) == 0
    assert json.loads((tmp_path / "found.json").read_text(encoding="utf-8")) == found


def test_a_dry_run_takes_the_first_step_of_the_run_and_writes_only_what_it_is_asked_for(
    small_run: Path, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, costs = tmp_path / "here", tmp_path / "there" / "costs.json"
    here.mkdir()
    monkeypatch.chdir(here)
    words = ["finetune", str(own), "--from", str(small_run / "last"), *QUICK, "--json", str(costs)]
    assert main([*words, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert list(here.iterdir()) == []
    dry = json.loads(costs.read_text(encoding="utf-8"))
    assert f"({small_run / 'last'})" in said.splitlines()[0] and "the run: 2 steps" in said.splitlines()
    assert main([*words, "--out", str(tmp_path / "run"), "--train.log_every", "1"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    first = next(line for line in lines if line["step"] == 1)
    assert dry["step"]["losses"] == pytest.approx(
        {name: first[f"loss/{name}"] for name in dry["step"]["losses"]}, rel=1e-4
    )
    assert (dry["step"]["expressions"], dry["steps"]) == (first["expressions"], 2)


def test_what_contradicts_the_run_is_refused(
    small_run: Path, own: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    words = ["finetune", str(own), "--from", str(small_run / "last"), "--out", str(tmp_path / "run")]
    assert "DATA is missing" in refused("finetune", "--out", "run")
    assert "--out is missing" in refused(*words[:4])
    assert "--dry-run starts a run anew: leave out --resume" in refused(*words, "--dry-run", "--resume")
    assert "DATA says it already" in refused(*words, "--data.root", "x")
    assert "no such file or folder" in refused(*words, "--old", str(tmp_path / "none"))
    assert "is drawn without end" in refused("finetune", "shaperef", *words[2:])
    assert "no such model" in refused(*words[:2], "--from", "phot", *words[4:])
    assert not (tmp_path / "run").exists()


def test_a_model_of_drawn_scenes_has_its_old_scenes_drawn_and_others_have_none(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model, old in (("shaperef-tiny", ["shaperef", "shaperef+", "shaperefg"]), ("photo", [])):
        assert main(["finetune", str(own), "--from", model, "--print-config", "--data.per_image", "3"]) == 0
        settings = yaml.safe_load(capsys.readouterr().out)
        assert settings["data"]["old"] == old and settings["data"]["dataset"] == "cvat"
        assert settings["train"]["init"] == model and settings["data"]["per_image"] == 3
        assert settings["input"] == yaml.safe_load(yaml.safe_dump(vars(load_model(model).config.input)))


def test_what_changed_is_told_of_a_run_that_validated_once_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--train.validate_start false` leaves the figures before the training unknown."""
    folder = RunFolder(tmp_path)
    lines = [{"step": 1, "seconds": 1}, {"step": 2, "seconds": 60, "val/mean_iou": 0.5, "agreement": 0.5}]
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = what_changed(folder)
    assert (found["before"], found["after"], found["best_step"]) == ({}, {"val/mean_iou": 0.5}, 2)
    assert found["better"]
    show_changes(found, folder)
    assert "your data     mean IoU          50.0" in capsys.readouterr().out


@pytest.mark.parametrize(("before", "better"), [(0.5, False), (0.49, True), (0.51, False)])
def test_a_model_that_did_not_get_better_is_named(
    before: float, better: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best model of a run may be worse than the model that it started from."""
    folder = RunFolder(tmp_path)
    lines = [
        {"step": 0, "seconds": 0, "val/mean_iou": before, "agreement": before},
        {"step": 2, "seconds": 60, "val/mean_iou": 0.5, "agreement": 0.5},
    ]
    folder.metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = what_changed(folder)
    assert (found["better"], found["best_step"]) == (better, 2)
    show_changes(found, folder)
    assert ("did not get better" in capsys.readouterr().out) is not better
