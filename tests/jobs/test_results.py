"""The results of a job in their three forms, from parts written by hand."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from m3att.data.masks import encode_rle
from m3att.errors import ConfigError
from m3att.jobs.parts import Parts
from m3att.jobs.results import WRITERS, write_results

RING = np.zeros((5, 6), np.bool_)
RING[1:4, 1:5] = True
RING[2, 2] = False


def predicted(expression: str, mask: np.ndarray = RING) -> dict[str, Any]:
    return {
        "expression": expression,
        "segmentation": encode_rle(mask),
        "box": [1, 1, 5, 4] if mask.any() else None,
        "score": 0.5,
        "area": int(mask.sum()),
        "unknown_words": ["yurt"],
        "words_cut": 0,
        "read_as": {"womam": "woman"},
    }


RECORDS = [
    {"line": 1, "image": "a.jpg", "id": 7, "height": 5, "width": 6, "predictions": [predicted("x"), predicted("y")]},
    {"line": 2, "error": "not JSON"},
    {
        "line": 4, "image": "b.jpg", "id": "seven", "height": 5, "width": 6,
        "predictions": [predicted("z", np.zeros_like(RING))], "errors": [{"expression": "?", "error": "no word"}],
    },
    {"line": 5, "image": "c.jpg", "error": "no such file"},
]  # fmt: skip


def parts_of(folder: Path, records: list[dict[str, Any]], size: int = 3) -> Parts:
    job = dict.fromkeys(("manifest_sha256", "model_sha256", "threshold", "region", "dtype"), "x")
    parts = Parts(folder, job | {"lines": len(records), "lines_a_part": size})
    for chunk in range(parts.count):
        with parts.claim(chunk) as file:
            assert file is not None
            for record in records[chunk * size : (chunk + 1) * size]:
                file.write(json.dumps(record).encode() + b"\n")
    return parts


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return parts_of(tmp_path / "out", RECORDS)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_json_lines_have_a_row_an_expression(parts: Parts) -> None:
    path, errors = write_results(parts, "jsonl")
    rows = lines_of(path)
    assert [(row["line"], row["id"], row["expression"]) for row in rows] == [
        (1, 7, "x"),
        (1, 7, "y"),
        (4, "seven", "z"),
    ]
    assert rows[0] == {"line": 1, "id": 7, "image": "a.jpg", "height": 5, "width": 6} | predicted("x")
    assert errors == 3
    assert lines_of(parts.folder / "errors.jsonl") == [
        {"line": 2, "error": "not JSON"},
        {"line": 4, "id": "seven", "image": "b.jpg", "expression": "?", "error": "no word"},
        {"line": 5, "image": "c.jpg", "error": "no such file"},
    ]


def test_cocos_own_tools_read_the_coco_json_pixel_for_pixel(parts: Parts) -> None:
    path, _ = write_results(parts, "coco")
    coco = COCO(str(path))
    assert {key: image["file_name"] for key, image in coco.imgs.items()} == {1: "a.jpg", 4: "b.jpg"}
    assert [coco.imgs[key]["given_id"] for key in (1, 4)] == [7, "seven"]
    annotations = coco.loadAnns(coco.getAnnIds(iscrowd=False))
    assert [annotation["id"] for annotation in annotations] == [1, 2, 3]
    assert np.array_equal(coco.annToMask(annotations[0]), RING) and annotations[0]["bbox"] == [1, 1, 4, 3]
    assert coco.annToMask(annotations[2]).sum() == 0 and annotations[2]["bbox"] == [0, 0, 0, 0]


def test_a_parquet_table_holds_the_same(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("m3att.jobs.results.ROWS_AT_ONCE", 2)
    path, _ = write_results(parts, "parquet")
    assert parquet.ParquetFile(path).num_row_groups == 2
    rows = parquet.read_table(path).to_pylist()
    assert [(row["line"], row["id"], row["expression"]) for row in rows] == [
        (1, "7", "x"),
        (1, "7", "y"),
        (4, "seven", "z"),
    ]
    assert rows[0]["rle_counts"] == encode_rle(RING)["counts"] and rows[0]["unknown_words"] == ["yurt"]
    assert rows[0]["read_as"] == ["womam as woman"]
    assert [rows[0][side] for side in ("left", "top", "right", "bottom")] == [1, 1, 5, 4]
    assert [rows[2][side] for side in ("left", "top", "right", "bottom")] == [0, 0, 0, 0]


@pytest.mark.skipif(os.name != "posix", reason="names of files are bytes")
@pytest.mark.parametrize("kind", WRITERS)
def test_what_utf8_cannot_hold_becomes_a_question_mark_at_worst(tmp_path: Path, kind: str) -> None:
    record = RECORDS[0] | {"image": "\udcff.jpg", "id": "\ud800"}  # a file whose name is the byte 255
    path, _ = write_results(parts_of(tmp_path, [record]), kind, "http://x/" if kind == "label_studio" else "")
    text = path.read_bytes()
    if kind == "parquet":
        rows = pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()
        assert [(row["image"], row["id"]) for row in rows] == [("?.jpg", "?")] * 2
    expected = {"label_studio": b"http://x/%FF.jpg", "cvat": b'"?.jpg"', "parquet": b"?.jpg"}
    assert expected.get(kind, b'"\\udcff.jpg"') in text


@pytest.mark.parametrize("kind", WRITERS)
def test_a_job_of_bad_lines_alone_has_results_too(tmp_path: Path, kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    path, errors = write_results(parts_of(tmp_path, [{"line": 1, "error": "not JSON"}]), kind)
    assert path.stat().st_size >= 0 and errors == 1


def test_parquet_without_its_library_is_one_line(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ConfigError, match=r"m3att\[tables\]"):
        write_results(parts, "parquet")


@pytest.mark.parametrize("kind", ["jsonl", "coco"])
def test_a_job_of_any_size_takes_the_same_memory(tmp_path: Path, kind: str) -> None:
    peaks = []
    for count in (60, 480):
        records = [{**RECORDS[0], "line": number + 1} for number in range(count)]
        parts = parts_of(tmp_path / str(count), records, size=20)
        del records
        tracemalloc.start()
        write_results(parts, kind)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
