"""`m3att evaluate` for real: what it prints, what it writes, and what it takes from the model."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import m3att
from m3att.app.cli import main
from m3att.protocols import PROTOCOLS


def evaluated(capsys: pytest.CaptureFixture[str], json_path: Path, *words: str) -> tuple[dict[str, Any], str]:
    capsys.readouterr()
    assert main(["evaluate", *words, "--json", str(json_path)]) == 0
    found: dict[str, Any] = json.loads(json_path.read_text("utf-8"))
    assert list(json_path.parent.iterdir()) == [json_path]  # written in one step, and no part of it stays
    return found, capsys.readouterr().out


def test_evaluate_a_model_on_drawn_scenes(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "scores.json"
    found, out = evaluated(capsys, path, "--model", str(small_run / "last"), "--data.images", "3")
    assert (found["dataset"], found["split"], found["pixels"], found["images"]) == ("shaperef", "val", "drawn", 3)
    assert found["threshold"] == 0.35
    assert set(found["precision"]) == {"0.5", "0.6", "0.7", "0.8", "0.9"}
    assert {"0.35", "0.5"} <= set(found["at"])
    assert found["model"] == str(small_run / "last")
    weights = (small_run / "last" / "model.safetensors").read_bytes()
    assert (found["weights_sha256"], found["version"]) == (hashlib.sha256(weights).hexdigest(), m3att.__version__)
    assert "overall IoU" in out
    assert "by skill, at threshold 0.35:" in out


def test_evaluate_takes_what_the_command_line_says(
    small_run: Path, shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--data.root", str(shaperef), "--evaluate.threshold", "0.6", "--data.same_words", "true")
    found, out = evaluated(capsys, tmp_path / "a" / "scores.json", "--model", str(small_run / "last"), *words)
    assert (found["threshold"], found["same_words"], found["images"]) == (0.6, True, 3)
    assert set(found["at"]) == {"0.35", "0.5", "0.6"}
    assert "blind" in out


@pytest.mark.parametrize(
    "command",
    [
        "evaluate --model shaperef-tiny --data.root own.json --data.dataset coco --data.pixels layout",
        "evaluate --floor largest --data.root own.json --data.dataset coco --data.pixels layout",
        "train --preset shaperef-tiny-hour --data.root own.json --data.dataset coco --data.pixels layout --out run",
        "report figure 8 --model photo --data.root own.json --data.dataset coco --data.pixels layout --out a.png",
        "train --config own.yaml --out run",
        "train --config pixels.yaml --data.root own.json --data.dataset coco --dry-run",
        "train --preset photo --config own.yaml --out run",
        "search --config own.yaml --set train.learning_rate=1e-4..1e-3 --out run",
        "ablate --table 1 --config own.yaml --out run",
        "bench train --config own.yaml",
    ],
)
def test_drawn_pictures_of_own_data_are_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Callable[..., str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.yaml").write_text("data: {root: own.json, dataset: coco, pixels: layout}")
    Path("pixels.yaml").write_text("data: {pixels: layout}")
    assert refused(*command.split()) == (
        "data.pixels layout: data set coco is read from its photos; to have it drawn, give `m3att data convert "
        "own.json --to refer --out DIR`, and then --data.root DIR --data.dataset custom"
    )


def test_what_a_preset_draws_may_be_read_from_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.yaml").write_text("data: {root: own.json, dataset: coco, pixels: layout}")
    words = ["--preset", "refcoco-layout-tiny", "--config", str(tmp_path / "own.yaml"), "--print-config"]
    assert main(["train", *words]) == 0
    assert "pixels: layout" in capsys.readouterr().out


def test_settings_that_change_nothing_are_named(tiny_model_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", str(tiny_model_folder), "--data.images", "1", "--data.split_by", "google"]
    assert main(["evaluate", *words]) == 0
    note = "note: data.split_by google has no effect: data.dataset shaperef has no splits of authors"
    assert capsys.readouterr().err.splitlines() == [note]


def test_own_data_are_drawn_after_a_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 15], "caption": "the cup"}
    data = {
        "images": [{"id": 1, "file_name": "missing.jpg", "width": 40, "height": 30}],
        "annotations": [{**annotation, "segmentation": [[10, 5, 30, 5, 30, 20, 10, 20]]}],
        "categories": [{"id": 1, "name": "cup"}],
    }
    Path("own.json").write_text(json.dumps(data))
    assert main(["data", "convert", "own.json", "--to", "refer", "--out", "DIR"]) == 0
    words = "--data.root DIR --data.dataset custom --data.split train --data.pixels layout --json a.json"
    assert main(["evaluate", "--floor", "largest", *words.split()]) == 0
    assert json.loads(Path("a.json").read_text())["pixels"] == "layout"


def test_two_results_do_not_go_into_one_file(tmp_path: Path, refused: Callable[..., str]) -> None:
    words = ("--json", str(tmp_path / "a"), "--answers", str(tmp_path / "b" / ".." / "a"))
    assert (
        refused("evaluate", "--model", "shaperef-tiny", *words) == "--json and --answers name the same file: give two"
    )


def test_a_mixture_of_training_is_scored_once(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(small_run / "last", model)
    config = json.loads((model / "config.json").read_text("utf-8"))
    config["data"]["dataset"] = "shaperef, shaperef,shaperef+"
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    found, _ = evaluated(capsys, tmp_path / "a" / "scores.json", "--model", str(model), "--data.images", "2")
    assert (found["dataset"], found["images"]) == ("shaperef,shaperef+", 2)


def test_a_file_that_cannot_be_written_is_said_before_the_scoring(
    small_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    path = small_run / "config.yaml" / "scores.json"  # below a file
    assert main(["evaluate", "--model", str(small_run / "last"), "--data.images", "1", "--json", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert (
        err.endswith("config.yaml: cannot be written (Not a directory); give another --json\n") and err.count("\n") == 1
    )


def test_figures_are_out_before_a_file_fails(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a disk that fills up while the scoring runs."""

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device", str(path))

    capsys.readouterr()
    monkeypatch.setattr("m3att.files.replace_file", full)
    words = ["--model", str(small_run / "last"), "--data.images", "1", "--json", str(tmp_path / "scores.json")]
    assert main(["evaluate", *words]) == 2
    out, err = capsys.readouterr()
    assert "overall IoU" in out
    assert err.startswith("m3att: error: No space left") and err.count("\n") == 1


def test_scores_are_calibrated_and_then_used(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    model = tmp_path / "model"
    shutil.copytree(small_run / "last", model)
    words = ["--model", str(model), "--data.images", "8", "--evaluate.threshold", "0.1"]
    before, out = evaluated(capsys, tmp_path / "a" / "scores.json", *words, "--calibrate")
    assert "not calibrated: mean probability" in out and "scores calibrated on" in out
    assert "the model's threshold is now 0.1 with region all, as in this command; it was " in out
    written = json.loads((model / "config.json").read_text("utf-8"))
    stored = written["calibration"]
    assert stored == {key: before["calibration"][key] for key in stored}
    assert written["evaluate"]["threshold"] == 0.1  # the fit holds for masks of this threshold only
    after, out = evaluated(capsys, tmp_path / "b" / "scores.json", *words[:-2])
    assert "calibrated scores against IoU" in out
    assert (before["calibrated"], after["calibrated"]) == (False, True)
    errors = [found["reliability"]["expected_calibration_error"] for found in (before, after)]
    assert errors[1] < errors[0]
    assert before["mean_iou"] == after["mean_iou"]  # masks stay as they were

    few = ["--model", str(model), "--data.images", "1", "--calibrate", "--json", str(tmp_path / "c.json")]
    assert main(["evaluate", *few]) == 2
    out, err = capsys.readouterr()
    assert "too few to calibrate" in err and err.count("\n") == 1
    assert "overall IoU" in out and (tmp_path / "c.json").is_file()  # what was scored is not lost
    assert "against IoU" not in out  # one image has fewer masks than a reliability table needs
    assert json.loads((model / "config.json").read_text("utf-8"))["calibration"] == stored
    assert "--floor has none" in refused("evaluate", "--floor", "largest", "--calibrate")
    assert "is not: copy it" in refused("evaluate", "--model", "some/model", "--calibrate")
    for name in ("photo", "bundled", "shaperef-tiny-late"):
        assert f"{name} comes with m3att: save a copy first" in refused("evaluate", "--model", name, "--calibrate")
    values = json.loads((model / "config.json").read_text("utf-8"))
    (model / "config.json").write_text(json.dumps({**values, "calibration": {"bias": 3}}))
    assert "calibration" in refused("evaluate", *words)


def test_evaluate_draws_a_gallery(small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "gallery.png"
    words = ["--model", str(small_run / "last"), "--data.images", "3", "--gallery", str(path), "--gallery-size", "4"]
    assert main(["evaluate", *words]) == 0
    assert list(path.parent.iterdir()) == [path]
    out = capsys.readouterr().out
    assert "overall IoU" in out
    assert out.endswith(f"examples: {path}\n")
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")


def test_evaluate_writes_a_line_for_each_answer(
    small_run: Path, tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    scores, lines = tmp_path / "scores.json", tmp_path / "new" / "answers.jsonl"
    words = ["--model", str(small_run / "last"), "--answers", str(lines), "--json", str(scores)]
    assert main(["evaluate", *words]) == 0
    found, answers = json.loads(scores.read_text()), [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(answers) == found["expressions"] > 3
    assert sum(answer["iou"] for answer in answers) / len(answers) == pytest.approx(found["mean_iou"])
    shared, either = (sum(answer[name] for answer in answers) for name in ("intersection", "union"))
    assert shared / either == pytest.approx(found["overall_iou"])
    assert all((answer["kind"] == "right") == (answer["iou"] > 0.5) for answer in answers)
    assert all(set(answer["blind"]) == {"largest object", "most central object", "any object"} for answer in answers)
    assert {skill for answer in answers for skill in answer["skills"]} == set(found["by_skill"])
    assert len({answer["expression_id"] for answer in answers}) == len(answers)
    capsys.readouterr()
    assert "a floor has nothing to sort" in refused("evaluate", "--floor", "largest", "--answers", "a.jsonl")


def test_evaluate_the_largest_object(shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a" / "scores.json"
    found, out = evaluated(capsys, path, "--floor", "largest", "--data.root", str(shaperef))
    assert (found["floor"], found["model"], found["images"]) == ("largest", None, 3)
    assert found["weights_sha256"] is None
    assert 0 <= found["mean_iou"] < 1
    assert "\nany " in out
    assert set(found["protocols"]) == {"original"}


def test_all_protocols_stand_side_by_side(
    small_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    words = ["--model", str(small_run / "last"), "--data.images", "2"]
    found, out = evaluated(capsys, tmp_path / "a" / "scores.json", *words, "--protocol", "all")
    assert list(found["protocols"]) == list(PROTOCOLS)
    assert found["protocol"] == "original"
    assert found["protocols"]["original"]["mean_iou"] == found["mean_iou"] == found["at"]["0.35"]["mean_iou"]
    for name in PROTOCOLS:
        assert f"\n{name} " in out
    assert "\n* the figure that the papers of the protocol report first" in out

    found, out = evaluated(capsys, tmp_path / "b" / "scores.json", *words, "--evaluate.protocol", "lavt")
    assert (found["protocol"], found["threshold"], list(found["protocols"])) == ("lavt", 0.5, ["original", "lavt"])
    assert "protocol: lavt" in out

    said = refused("evaluate", *words, "--protocol", "lavt", "--evaluate.threshold", "0.4")
    assert said.startswith("evaluate.threshold: protocol lavt has its own, 0.5;")
    said = refused("evaluate", *words, "--protocol", "resized")
    assert "resized" in said and "lavt" in said


def test_a_floor_under_all_protocols(shaperef: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--floor", "largest", "--data.root", str(shaperef), "--protocol", "all")
    found, _ = evaluated(capsys, tmp_path / "a" / "scores.json", *words)
    figures = found["protocols"]
    assert list(figures) == list(PROTOCOLS)
    assert figures["original"]["overall_iou"] == figures["vlt"]["overall_iou"] == figures["refer"]["overall_iou"]
    assert figures["lavt"]["mean_iou"] == pytest.approx(figures["original"]["mean_iou"], abs=0.05)
