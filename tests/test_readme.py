"""The README by running it: its Python, its demo, its bundled models, its links."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.config import DataConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate
from m3att.model_folder import BUNDLED, bundled_models
from m3att.pretrained import load_model

MOST_BYTES = 24_000_000
# Where the referents of the demo's expressions stand in its image (XYXY pixels), as one sees when one looks at it.
DEMO_BOXES = ([238, 4, 306, 120], [106, 119, 181, 235], [265, 116, 317, 181])


def test_the_python_of_the_readme_runs(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "examples").symlink_to(repository / "examples")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", (repository / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    exec(compile(block[1], "README.md", "exec"), {})
    pictures = list(tmp_path.glob("*.png"))
    assert len(pictures) == 2
    for picture in pictures:
        assert Image.open(picture).width >= 280


def test_the_demo_segments_the_bundled_example(repository: Path, tmp_path: Path) -> None:
    variables = dict(re.findall(r"^(DEMO_\w+) := (.*)$", (repository / "Makefile").read_text("utf-8"), re.MULTILINE))
    expressions = shlex.split(variables["DEMO_SCENE_EXPRESSIONS"])
    image = repository / variables["DEMO_SCENE"]
    assert main(["predict", str(image), *expressions, "--model", "shaperef-tiny", "--out", str(tmp_path)]) == 0
    found = json.loads((tmp_path / "predictions.json").read_text(encoding="utf-8"))["images"][0]["predictions"]
    assert [entry["expression"] for entry in found] == expressions
    for entry, box in zip(found, DEMO_BOXES, strict=True):
        assert entry["box"] == pytest.approx(box, abs=8), entry["expression"]
        assert (tmp_path / entry["overlay"]).is_file()


def test_bundled_models_are_small_and_of_no_one_machine() -> None:
    assert set(bundled_models()) == {"shaperef-tiny", "refcoco-layout-tiny", "photo"}
    files = [file for name in bundled_models() for file in (BUNDLED / name).iterdir()]
    assert sum(file.stat().st_size for file in files) < 45e6  # the wheel stays under 50 MB
    for name in bundled_models():
        assert sum(file.stat().st_size for file in (BUNDLED / name).iterdir()) < MOST_BYTES
        model = load_model(name)
        assert bool(model.world) == (name != "photo") and model.config.data.root is None


def score(name: str, data: DataConfig) -> float:
    """Mean IoU of a bundled model on a split, val where nothing else is said."""
    model = load_model(name)
    source = open_source(data, data.split)
    return evaluate(model.network, model.tokenizer, source, model.config.input, model.config.evaluate, data).mean_iou


def test_the_model_of_scenes_still_understands_its_world() -> None:
    # The models that it was trained from have 0.84 here at most.
    assert score("shaperef-tiny", DataConfig(dataset="shaperef", images=12)) > 0.87


def test_the_photo_model_segments_photos(refer_photos: Path) -> None:
    # The models of drawn pictures have 0.14 here at most.
    data = DataConfig(str(refer_photos), "refcoco", split="train", pixels="photos", images=6)
    assert score("photo", data) > 0.25


def test_the_layout_model_still_understands_people(refer_boxes: Path) -> None:
    assert score("refcoco-layout-tiny", DataConfig(str(refer_boxes), "refcoco", images=40)) > 0.55


def test_links_of_readme_and_docs_lead_somewhere(repository: Path) -> None:
    for page in (repository / "README.md", *(repository / "docs").glob("*.md")):
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8")):
            other = page.parent / target if target else page
            assert other.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in anchors(other), f"{page.name} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What links into a page may name: its headings, as they are rendered."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
