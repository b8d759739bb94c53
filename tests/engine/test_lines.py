"""Files with one JSON object a line, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3att.engine.lines import drop_later_lines, read_lines
from m3att.engine.run_folder import RunFolder
from m3att.engine.trackers import known_ids
from m3att.errors import ConfigError, DataError

DAMAGED = [b"nonsense", b"[1, 2]", b"3", b"null", b'{"step": 2, "\xe9": 1}', b"\0\0\0", b'{"step": 2', b"[" * 100_000]


@pytest.mark.parametrize("damage", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_line_is_told_from_whole_ones(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + damage + b'\n{"step": 3}\n')
    assert read_lines(path) == [{"step": 1}, None, {"step": 3}]


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        (b'{"step": 1}\n{"step": 2}\n{"step": 3}\n{"step": 4}\n', b'{"step": 1}\n{"step": 2}\n{"step": 3}\n'),
        (b'{"step": 1}\n{"step": 3}\n', b'{"step": 1}\n{"step": 3}\n'),
        (b'{"step": 1}\n{"step": 2', b'{"step": 1}\n'),
        (b'{"step": 1}\n{"step": 2}', b'{"step": 1}\n{"step": 2}\n'),  # else the next line would follow on the same
        (b'{"step": 4}\n', b""),
        (b"", b""),
        *((b'{"step": 1}\n' + damage + b'\n{"step": 3}\n', b'{"step": 1}\n{"step": 3}\n') for damage in DAMAGED),
        (b'{"step": 1}\n{"step": "2"}\n{"loss": 2}\n{"step": 3}\n', b'{"step": 1}\n{"step": 3}\n'),
    ],
)
def test_lines_after_the_checkpoint_and_damaged_ones_are_dropped(tmp_path: Path, content: bytes, kept: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(content)
    drop_later_lines(path, 3)
    assert path.read_bytes() == kept
    path.unlink()
    drop_later_lines(path, 3)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("damage", [*DAMAGED, b'{"step": 1e999}', b'{"step": 2, "agreement": "good"}'])
def test_no_file_of_a_run_ends_with_a_traceback(tmp_path: Path, damage: bytes) -> None:
    folder = RunFolder(tmp_path)
    folder.metrics.write_bytes(b'{"step": 1, "loss/mask": 0.5}\n' + damage + b'\n{"step": 3}\n')
    folder.faults.write_bytes(b'{"left_out": "a"}\n' + damage + b'\n{"left_out": "b"}\n')
    folder.tracker_ids.write_bytes(damage)
    with pytest.raises(DataError, match=r"metrics\.jsonl, line 2: not what a training logs"):
        folder.read_metrics()
    assert folder.known_faults() == ["a", "b"]
    with pytest.raises(ConfigError, match=r"trackers\.json: damaged; remove it"):
        known_ids(folder)
