"""docs/extending.md: each example is taken from the page and runs."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from m3att.app.cli import main
from m3att.bounds import check_fit
from m3att.data import open as opening
from m3att.encoders import VISION, Encoder
from m3att.presets import PRESETS
from m3att.pretrained import load_model
from m3att.protocols import PROTOCOLS, Protocol
from m3att.segmenter import Segmenter
from m3att.settings import changed

from .model.vision import test_contract as contract


def section_of(repository: Path, title: str) -> str:
    """A section of the page."""
    page = (repository / "docs" / "extending.md").read_text(encoding="utf-8")
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def examples(repository: Path, title: str) -> list[ModuleType]:
    """Each block of Python of a section, run as a module of its own."""
    modules = []
    codes = re.findall(r"```python\n(.*?)```", section_of(repository, title), flags=re.DOTALL)
    for number, code in enumerate(codes):
        module = ModuleType(f"{title.replace(' ', '_')}_{number}")
        sys.modules[module.__name__] = module  # dataclasses look their module up
        exec(compile(code, "docs/extending.md", "exec"), module.__dict__)
        modules.append(module)
    return modules


def example(repository: Path, title: str) -> ModuleType:
    """The one block of Python of a section."""
    (module,) = examples(repository, title)
    return module


def test_a_new_backbone(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("m3att.data.shaperef.source._TEXT_SCENES", 40)
    network, weights = examples(repository, "A new backbone")
    section = section_of(repository, "A new backbone")
    monkeypatch.setitem(sys.modules, "m3att.model.vision.plain", network)
    monkeypatch.setitem(sys.modules, "m3att.weights.plain", weights)
    rows = re.findall(r'^    "plain": (.*),$', section, re.MULTILINE)
    fresh, pretrained = [eval(row, {"Encoder": Encoder}) for row in rows]
    monkeypatch.setitem(VISION, "plain", fresh)
    for check in (
        contract.test_it_says_what_it_gives, contract.test_an_images_features_do_not_hang_on_its_batch,
        contract.test_evaluation_repeats_itself_and_changes_no_statistic, contract.test_the_place_of_things_is_kept,
        contract.test_every_weight_learns, contract.test_the_layout_of_pixels_in_memory_does_not_matter,
    ):  # fmt: skip
        check(network.PlainNet((4, 8, 12, 16)))
    for size in contract.SIZES:
        contract.test_each_grid_is_the_size_over_the_stride_rounded_up(network.PlainNet((4, 8, 12)), size)

    (line,) = re.findall(r"^    m3att (train .*)$", section, re.MULTILINE)
    words = shlex.split(line)
    small = ["--model.channels", "16", "--model.mask.channels", "8", "--train.steps", "1", "--train.batch_size", "4"]
    small += ["--train.workers", "0", "--train.validate_images", "1", "--input.size", "64", "--model.grid_size", "64"]
    small += ["--train.early_sizes", "[]", "--train.early_steps", "[]"]
    run = tmp_path / "run"
    assert main([*words, *small, "--out", str(run)]) == 0
    model = Segmenter.from_pretrained(str(run / "last"))
    assert type(model.network.vision.backbone).__name__ == "PlainNet"
    assert model.network.vision.stride == 8
    assert model.encode(repository / "examples" / "scene.jpg").segment(["the red box"])[0].mask.shape

    frozen = ["--model.vision.freeze", "true", "--model.vision.weights"]
    assert main([*words, *small, *frozen, str(run / "last"), "--out", str(tmp_path / "second")]) == 0
    public = tmp_path / "plain.safetensors"
    save_file(network.PlainNet((32, 64, 128, 128)).state_dict(), public)
    monkeypatch.setitem(VISION, "plain", pretrained)
    assert main([*words, *small, *frozen, str(public), "--out", str(tmp_path / "third")]) == 0
    trained = load_model(tmp_path / "third" / "last").network.vision.backbone.state_dict()
    assert all(torch.equal(trained[name], value) for name, value in load_file(public).items())
    capsys.readouterr()
    assert main([*words, *small, *frozen, str(run / "config.yaml"), "--out", str(tmp_path / "fourth")]) == 2
    assert "no weights of the plain conv net" in capsys.readouterr().err
    assert main([*words, *small, *frozen[:2], "--out", str(tmp_path / "fourth")]) == 2
    assert "plain has nothing pretrained to keep; give --model.vision.weights, such as" in capsys.readouterr().err


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for split, count in (("train", 3), ("val", 2)):
        (tmp_path / split).mkdir()
        for number in range(count):
            image_HWC = np.full((40, 60, 3), 120, dtype=np.uint8)
            mask_HW = np.zeros((40, 60), dtype=np.uint8)
            image_HWC[5:20, 10 + number : 30] = (220, 30, 30)
            mask_HW[5:20, 10 + number : 30] = 255
            path = tmp_path / split / f"{number}.jpg"
            Image.fromarray(image_HWC).save(path)
            Image.fromarray(mask_HW).save(path.with_suffix(".png"))
            path.with_suffix(".txt").write_text("the red box\nred thing\n", encoding="utf-8")
    return tmp_path


def test_a_new_data_set(
    repository: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = example(repository, "A new data set")
    monkeypatch.setitem(opening.OWN, "pairs", module.open_pairs)
    data = ["--data.dataset", "pairs", "--data.root", str(pairs)]
    tiny = ["--train.batch_size", "4", "--train.steps", "2", "--input.size", "32", "--train.workers", "0"]
    flat = ["--train.early_sizes", "[]", "--train.early_steps", "[]", "--train.category_weight", "0"]
    run = tmp_path / "run"
    assert main(["train", "--preset", "shaperef-tiny-hour", *data, *tiny, *flat, "--out", str(run)]) == 0
    report = tmp_path / "scores.json"
    words = ["evaluate", "--model", str(run / "last"), *data, "--data.split", "val", "--json", str(report)]
    assert main(words) == 0
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert (found["pixels"], found["expressions"], found["images"]) == ("photos", 4, 2)
    model = json.loads((run / "last" / "config.json").read_text(encoding="utf-8"))
    assert model["world"] == ""  # it has seen photos, so it is not said to know ShapeRef
    capsys.readouterr()
    assert main(["evaluate", "--floor", "largest", *data]) == 2
    assert "annotations of all objects" in capsys.readouterr().err


def test_a_new_protocol(repository: Path) -> None:
    row = example(repository, "A new protocol").ROW
    assert isinstance(row, Protocol) and row.name not in PROTOCOLS
    assert row.counting == PROTOCOLS["lavt"].counting


def test_a_new_preset(repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    row = example(repository, "A new preset").ROW
    check_fit(changed(row.config, {}))
    monkeypatch.setitem(PRESETS, "own-photos", row)
    assert main(["train", "--preset", "own-photos", "--print-config"]) == 0
    assert "dataset: jsonl" in capsys.readouterr().out
