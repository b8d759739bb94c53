"""From an export of CVAT or Datumaro to a trained model and a prediction; the training is a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from m3att.app.cli import main

from ...app.conftest import SMALL
from .test_cvat import xml_of
from .test_datumaro import datumaro_of
from .test_tools import EXPORTS, UPRIGHT, photos

TASK = json.loads((EXPORTS / "cvat.json").read_text())


def cvat_xml(root: Path) -> None:
    """What CVAT for images 1.1 unpacks to."""
    photos(root / "images")
    (root / "annotations.xml").write_text(xml_of(TASK), encoding="utf-8")


def datumaro(root: Path) -> None:
    """What Datumaro 1.0 unpacks to."""
    photos(root / "images/default")
    (root / "annotations").mkdir()
    (root / "annotations/default.json").write_text(json.dumps(datumaro_of(TASK)), encoding="utf-8")


def m3att(folder: Path, *words: str) -> str:
    """Runs a command to its end, in a process of its own, and gives what it prints."""
    code = "import sys; from m3att.app.cli import main; sys.exit(main())"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(("dataset", "write"), [("cvat", cvat_xml), ("datumaro", datumaro)])
def test_an_export_becomes_a_trained_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, write: Callable[[Path], None]
) -> None:
    write(tmp_path / "export")
    (tmp_path / "small.yaml").write_text(SMALL.replace("steps: 4", "steps: 2"), encoding="utf-8")
    data = ["--data.root", "export", "--data.dataset", dataset]
    said = m3att(tmp_path, "train", "--config", "small.yaml", *data, "--out", "run")
    assert f"data: {dataset}; " in said and "pixels: photos" in said
    steps = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    losses = [line["loss/total"] for line in steps if "loss/total" in line]
    assert len(losses) == 2 and np.isfinite(losses).all()

    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "--model", "run/last", *data, "--json", "scores.json"]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["pixels"], scores["images"], scores["expressions"]) == ("photos", 3, 5)
    assert scores["boxes"]["expressions"] == 1

    photo = "export/images/park.jpg" if dataset == "cvat" else "export/images/default/park.jpg"
    assert main(["predict", photo, "the red box on the left", "--model", "run/last", "--out", "found"]) == 0
    (mask_path,) = (tmp_path / "found").glob("*_mask.png")
    with Image.open(mask_path) as mask:
        assert mask.size == UPRIGHT["park.jpg"][::-1]
    assert len(list((tmp_path / "found").glob("*_overlay.png"))) == 1
