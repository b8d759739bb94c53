"""Parts on disk: whole or missing, written by one process at a time, and of one job."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from m3att.errors import ConfigError, DataError
from m3att.jobs.parts import SAME, Parts

JOB: dict[str, Any] = {
    "manifest_sha256": "a", "model_sha256": "b", "backend": "onnx", "threshold": 0.35, "region": "all",
    "dtype": "float32", "lines_a_part": 2, "lines": 5,
}  # fmt: skip


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path / "out", JOB)


def fill(parts: Parts, chunk: int, *numbers: int) -> None:
    with parts.claim(chunk) as file:
        assert file is not None
        for number in numbers:
            file.write(json.dumps({"line": number}).encode() + b"\n")


def test_a_part_is_there_when_everything_is_written(parts: Parts) -> None:
    assert (parts.count, parts.missing()) == (3, 3)
    with parts.claim(1) as file:
        assert file is not None
        file.write(b"half")
        assert not parts.done(1)
    assert parts.done(1) and parts.missing() == 2
    assert [path.name for path in parts.path(1).parent.iterdir()] == ["part-000001.jsonl"]


def test_nothing_is_left_of_an_attempt_that_failed(parts: Parts) -> None:
    with pytest.raises(ZeroDivisionError), parts.claim(0) as file:
        assert file is not None
        file.write(b"half")
        raise ZeroDivisionError
    assert list(parts.path(0).parent.iterdir()) == []


def test_what_a_killed_process_left_is_written_over(parts: Parts) -> None:
    parts.path(0).with_suffix(".unfinished").write_text("much longer than what is written now\n" * 9)
    fill(parts, 0, 1)
    assert parts.path(0).read_text() == '{"line": 1}\n'


@pytest.mark.skipif(os.name != "posix", reason="locks of POSIX")
def test_two_processes_never_write_one_chunk(parts: Parts) -> None:
    with parts.claim(0) as first:
        assert first is not None
        with parts.claim(0) as second:
            assert second is None
        first.write(b'{"line": 1}\n')
    with parts.claim(0) as third:
        assert third is None  # it is done
    assert parts.path(0).read_text() == '{"line": 1}\n'
    with parts.claim(0, again=True) as fourth:
        assert fourth is not None
    assert parts.path(0).read_text() == ""
    assert len(list(parts.path(0).parent.iterdir())) == 1


def test_records_come_in_the_order_of_the_manifest(parts: Parts) -> None:
    fill(parts, 2, 9)
    fill(parts, 0, 1, 2)
    fill(parts, 1, 4, 7)
    assert [record["line"] for record in parts.records()] == [1, 2, 4, 7, 9]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"line": 4}\n', "holds 1 of 2 lines"),
        ('{"line": 4}\n{"line": 5}\n{"line": 6}\n', "holds 3 of 2 lines"),
        ('{"line": 4}\n{"line": 4}\n', "line 4 after line 4"),
        ('{"line": 2}\n{"line": 5}\n', "line 2 after line 2"),
        ('{"line": 4}\n{"li', "damaged"),
        ('{"line": 4}\n[]\n', "damaged"),
        ('{"line": 4}\n{"line": "5"}\n', "damaged"),
    ],
)
def test_a_damaged_part_is_named(parts: Parts, content: str, message: str) -> None:
    fill(parts, 0, 1, 2)
    parts.path(1).write_text(content)
    fill(parts, 2, 9)
    with pytest.raises(DataError, match=rf"part-000001\.jsonl.*{message}"):
        list(parts.records())


@pytest.mark.parametrize("key", SAME)
def test_a_folder_belongs_to_one_job(parts: Parts, key: str) -> None:
    assert Parts(parts.folder, JOB | {"model": "by another name"}).count == 3
    with pytest.raises(ConfigError, match=SAME[key]):
        Parts(parts.folder, JOB | {key: 1})


def test_the_message_says_what_is_another(parts: Parts) -> None:
    changed = JOB | {"manifest_sha256": "c", "threshold": 0.5}
    with pytest.raises(ConfigError, match=r"out: holds a job with another manifest and another --threshold; give "):
        Parts(parts.folder, changed)
    # The ONNX form of a model has other files: the backend is said, and no other model is looked for.
    with pytest.raises(ConfigError, match=r"holds a job with another --backend; give another --out, or the values in "):
        Parts(parts.folder, JOB | {"backend": "pytorch", "model_sha256": "c"})
    begun = {key: value for key, value in JOB.items() if key != "backend"}  # as an older version wrote it
    (parts.folder / "job.json").write_text(json.dumps(begun))
    assert Parts(parts.folder, JOB).count == 3


def test_a_foreign_folder_is_refused(parts: Parts) -> None:
    for content in ("{", "[]", "{}"):
        (parts.folder / "job.json").write_text(content)
        with pytest.raises(DataError, match=r"job\.json.*--out"):
            Parts(parts.folder, JOB)
