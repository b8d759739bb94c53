"""The measurement of opening: what it counts, and that the cache makes a difference to the file and not to the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3att.bench.open_cost import measure_opening
from m3att.data.shaperef.writer import write_refer
from m3att.errors import DataError


def test_opening_is_measured_cold_and_cached(tmp_path: Path) -> None:
    write_refer(tmp_path, "shaperef", {"train": 6}, size=64)
    figures = measure_opening(tmp_path, "shaperef", "unc", "train", workers=2)
    assert figures["images"] == 6
    assert figures["expressions"] >= 6
    assert figures["bytes"] > 1000
    for way in ("cold", "cached"):
        assert set(figures[way]) == {"seconds", "cpu_seconds", "peak_mb"}
        assert 0 < figures[way]["seconds"] < 60
        assert 10 < figures[way]["peak_mb"] < 2000
    if Path("/proc/self/smaps_rollup").is_file():
        alone, shared = figures["workers"]["0"], figures["workers"]["2"]
        assert alone > 10
        assert shared < 3 * alone  # three processes that shared nothing would have it threefold


def test_what_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"refs\(unc\)\.p: cannot be read"):
        measure_opening(tmp_path, "refcoco", "unc", "train")
