"""Manifests: lines that can be read, lines that cannot, and chunks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from m3att.errors import DataError
from m3att.jobs import manifest as manifests
from m3att.jobs.manifest import Manifest, Task, raw_lines, read_task


def test_chunks_hold_every_line_once_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b"\xef\xbb\xbfa\n\nb\n   \nc\r\nd\n\ne")
    opened = Manifest.open(path)
    assert opened.lines == 5
    chunks = list(opened.chunks(2))
    assert [number for number, _ in chunks] == [0, 1, 2]
    assert [(at, line.strip()) for _, chunk in chunks for at, line in chunk] == [
        (1, b"a"), (3, b"b"), (5, b"c"), (6, b"d"), (8, b"e"),
    ]  # fmt: skip
    path.write_bytes(path.read_bytes() + b" ")
    assert Manifest.open(path).sha256 != opened.sha256


def test_a_line_without_end_is_one_bad_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "LONGEST", 100)
    (tmp_path / "m.jsonl").write_bytes(b"x" * 1000 + b"\nshort\n" + b"y" * 101 + b"\n" + b"z" * 350)
    found = list(raw_lines(tmp_path / "m.jsonl"))
    assert [(number, line[:1]) for number, line in found] == [(1, b"x"), (2, b"s"), (3, b"y"), (4, b"z")]
    with pytest.raises(DataError, match="longer than 100 bytes"):
        read_task(*found[0])


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_manifest_without_a_line_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.jsonl").write_bytes(content)
    with pytest.raises(DataError, match="holds no line"):
        Manifest.open(tmp_path / "m.jsonl")


def test_a_manifest_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl.*--manifest"):
        Manifest.open(tmp_path / "nowhere.jsonl")


@pytest.mark.skipif(os.name != "posix", reason="pipes with names")
def test_a_pipe_is_no_manifest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match=r"pipe: is no regular file; .*--manifest"):
        Manifest.open(tmp_path / "pipe")  # opening it would wait for a writer


@pytest.mark.parametrize(
    ("line", "task"),
    [
        ({"image": "a.jpg", "expressions": ["x", "y"]}, Task(3, "a.jpg", ("x", "y"))),
        ({"image_path": "a.jpg", "expression": "x", "id": [7]}, Task(3, "a.jpg", ("x",), [7])),
        ({"file_name": "a.jpg", "sentences": [{"raw": "x"}]}, Task(3, "a.jpg", ("x",))),
    ],
)
def test_a_line_names_an_image_and_expressions(line: object, task: Task) -> None:
    assert read_task(3, json.dumps(line).encode()) == task


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "no JSON object"),
        (b'{"expression": "x"}', "no path of an image"),
        (b'{"image": 7, "expression": "x"}', "no path of an image"),
        (b'{"image": "a\\u0000", "expression": "x"}', "no path of an image"),
        (b'{"image": "a.jpg"}', "no expression"),
        (b'{"image": "a.jpg", "expression": "x", "id": NaN}', "the id nan holds a number that JSON does not have"),
        (b'{"image": "a.jpg", "expression": "x", "id": [1e999]}', "a number that JSON does not have"),
        (b'{"image": "a.jpg", "expressions": []}', "no expression"),
        (b'{"image": "a.jpg", "expressions": [7]}', "no expression"),
    ],
)
def test_what_is_wrong_with_a_line_is_one_line(line: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_task(1, line)
    assert len(str(caught.value).splitlines()) == 1
