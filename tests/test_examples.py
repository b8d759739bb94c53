"""The programs and the notebook of examples/, run as a user runs them."""

from __future__ import annotations

import importlib.util
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from m3att import Segmenter

PEOPLE = ["the person in yellow", "the mushroom"]


def load(repository: Path, name: str) -> ModuleType:
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, repository / "examples" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scene(repository: Path) -> Path:
    return repository / "examples" / "scene.jpg"


@pytest.fixture(scope="module")
def expected(scene: Path) -> list[np.ndarray]:
    found = Segmenter.from_pretrained("shaperef-tiny", "cpu").encode(scene).segment(PEOPLE)
    return [prediction.mask for prediction in found]


def test_the_typed_example_finds_and_saves(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    coffee, texts = repository / "examples" / "coffee.jpg", ["the cup", "the spoon"]
    found = load(repository, "segment").main(str(coffee), texts)
    expected = Segmenter.from_pretrained("photo", "cpu").encode(coffee).segment(texts)
    assert all(np.array_equal(one.mask, other.mask) for one, other in zip(found, expected, strict=True))
    assert found[0].area > found[1].area > 0
    assert Image.open(tmp_path / "largest.png").width >= 280
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")) == 255, found[0].mask)


def check_rows(rows: list[dict[str, Any]], scene: Path, expected: list[np.ndarray]) -> None:
    """What the example of Ray Data gives for the manifest of these tests."""
    assert [(row["image"], row["expression"]) for row in rows if not row["error"]] == [
        (scene.name, text) for text in PEOPLE
    ]
    (bad,) = (row for row in rows if row["error"])
    assert bad["image"] == "missing.jpg" and "no such file" in bad["error"]
    for row, mask in zip([row for row in rows if not row["error"]], expected, strict=True):
        decoded = coco_mask.decode({"size": [row["height"], row["width"]], "counts": str(row["counts"])})
        assert np.array_equal(decoded, mask) and row["area"] == mask.sum()


def test_the_function_for_ray_and_spark_takes_columns(
    repository: Path, scene: Path, expected: list[np.ndarray]
) -> None:
    segment = load(repository, "ray_data").Segment("shaperef-tiny", "cpu", str(scene.parent))
    columns = {
        "image": np.array([scene.name, "missing.jpg"]),
        "expressions": np.array([np.array(PEOPLE), np.array(["the cup"])], dtype=object),
    }
    found = segment(columns)
    rows = [dict(zip(found, values, strict=True)) for values in zip(*found.values(), strict=True)]
    check_rows(rows, scene, expected)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: list(column) for name, column in columns.items()})  # as Spark gives them
    check_rows(pandas.DataFrame(segment(frame)).to_dict("records"), scene, expected)


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_data_segments_a_manifest(
    repository: Path, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: list[np.ndarray]
) -> None:
    import pyarrow.parquet
    import ray

    (tmp_path / scene.name).symlink_to(scene)
    lines = [{"image": scene.name, "expressions": PEOPLE}, {"image": "missing.jpg", "expressions": ["the cup"]}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    words = [str(tmp_path / "m.jsonl"), str(tmp_path / "out"), "--model", "shaperef-tiny", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["ray_data.py", *words])
    ray.init(num_cpus=3, include_dashboard=False, object_store_memory=80_000_000, log_to_driver=False)
    try:
        load(repository, "ray_data").main()
    finally:
        ray.shutdown()
    check_rows(pyarrow.parquet.read_table(tmp_path / "out").to_pylist(), scene, expected)


@pytest.mark.skipif(find_spec("cvat_sdk") is None, reason="CVAT's SDK is not installed")
def test_the_function_for_cvat_gives_exact_masks(repository: Path, scene: Path, expected: list[np.ndarray]) -> None:
    from cvat_sdk.masks import decode_mask

    function = load(repository, "cvat_auto_annotation").create("shaperef-tiny", "; ".join(PEOPLE))
    assert [label.name for label in function.spec.labels] == PEOPLE
    with Image.open(scene) as image:
        shapes = function.detect(SimpleNamespace(conf_threshold=None), image)
        assert function.detect(SimpleNamespace(conf_threshold=1.0), image) == []
        size = {"image_width": image.width, "image_height": image.height}
    for number, (shape, mask) in enumerate(zip(shapes, expected, strict=True)):
        assert shape.label_id == number and shape.type.value == "mask"
        assert np.array_equal(decode_mask(shape.points, **size), mask)


def test_the_notebook_runs_from_top_to_bottom(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repository / "examples" / "segment.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    codes = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(codes) > 6
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")  # no stale results
    monkeypatch.chdir(repository)
    if find_spec("nbclient") is None or find_spec("ipykernel") is None:
        names: dict[str, Any] = {}
        for code in codes:
            exec(compile(code, str(path), "exec"), names)
        assert names["prediction"].area > 1000
        return
    import nbformat
    from nbclient import NotebookClient

    done = nbformat.read(path, as_version=4)
    nbformat.validate(done)
    NotebookClient(done, timeout=600, resources={"metadata": {"path": str(repository)}}).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert any("the spoon" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert any("knows none of its words" in output.get("text", "") for output in outputs)
