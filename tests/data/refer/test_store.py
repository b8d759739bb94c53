"""The cache of annotations: what it keeps, when it is built anew, and that processes share it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.data.refer.store import Store, cache_folder, cached, pack_texts, read_store, write_store
from m3att.errors import DataError

Build = Callable[[], tuple[Mapping[str, Any], Mapping[str, Any]]]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("M3ATT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "annotations"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "instances.json"
    path.write_text("first")
    return path


class Counted:
    """Builds from a file and counts how often."""

    def __init__(self, file: Path) -> None:
        self.file, self.times = file, 0

    def __call__(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        self.times += 1
        text = self.file.read_text()
        return {"numbers": np.arange(5), **pack_texts("words", [text, ""])}, {"text": text}


def open_once(build: Counted) -> tuple[list[int], list[str], Any]:
    """What the store holds, and let go of it: what one process held, another has to read."""
    store = cached("test", [build.file], build)
    return store["numbers"].tolist(), list(store.texts("words")), store.notes["text"]


def test_built_once_and_read_again(cache: Path, file: Path) -> None:
    build = Counted(file)
    assert [open_once(build) for _ in range(3)] == [([0, 1, 2, 3, 4], ["first", ""], "first")] * 3
    assert build.times == 1
    assert len(list(cache.iterdir())) == 1


def test_a_changed_file_is_read_anew_into_the_same_place(cache: Path, file: Path) -> None:
    build = Counted(file)
    open_once(build)
    file.write_text("other")
    os.utime(file, ns=(1, 1))
    assert open_once(build)[2] == "other"
    assert build.times == 2
    assert len(list(cache.iterdir())) == 1  # the stale one is gone


@pytest.mark.parametrize("place", [0, 20, 40, 200, -1])
def test_a_damaged_cache_is_built_anew(cache: Path, file: Path, place: int) -> None:
    build = Counted(file)
    open_once(build)
    (kept,) = cache.iterdir()
    content = bytearray(kept.read_bytes())
    content[place] ^= 0x55
    kept.write_bytes(content)
    assert open_once(build)[2] == "first"
    assert build.times == 2
    for cut in (0, 10, len(content) // 2, len(content) - 1):
        kept.write_bytes(kept.read_bytes()[:cut])
        assert open_once(build)[2] == "first"
    assert build.times == 6


def test_without_a_cache_folder_nothing_is_missed(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = Counted(file)
    (tmp_path / "occupied").write_text("a file where the folder would be")
    for chosen in ("", str(tmp_path / "occupied")):
        monkeypatch.setenv("M3ATT_CACHE", chosen)
        assert open_once(build)[2] == "first"
    assert build.times == 2
    monkeypatch.delenv("M3ATT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "m3att" / "annotations"


def test_a_missing_file_is_for_the_reader_to_name(cache: Path, tmp_path: Path) -> None:
    def build() -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        raise DataError("no such file")

    with pytest.raises(DataError, match="no such file"):
        cached("test", [tmp_path / "absent"], build)


def test_one_process_holds_one_copy(cache: Path, file: Path) -> None:
    build = Counted(file)
    one, other = cached("test", [file], build), cached("test", [file], build)
    assert one is other
    assert one.size == 5 * 8 + 5 + 3 * 8


def test_sent_to_another_process_by_its_path(cache: Path, file: Path) -> None:
    store = cached("test", [file], Counted(file))
    sent = pickle.dumps(store)
    assert len(sent) < 600  # however large the arrays
    assert pickle.loads(sent) is store
    script = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read()).notes['text'])"
    done = subprocess.run([sys.executable, "-c", script], input=sent, capture_output=True, check=True)
    assert done.stdout.strip() == b"first"
    next(cache.iterdir()).unlink()
    del store
    with pytest.raises(DataError, match="changed while they were in use"):
        pickle.loads(sent)


def test_a_store_without_a_file_is_sent_whole() -> None:
    store: Store = pickle.loads(pickle.dumps(Store({"numbers": np.arange(3)}, {"a": 1})))
    assert store["numbers"].tolist() == [0, 1, 2]
    assert store.notes == {"a": 1}


def test_arrays_cannot_be_written_to(cache: Path, file: Path) -> None:
    store = cached("test", [file], Counted(file))
    with pytest.raises(ValueError, match="read-only"):
        store["numbers"][0] = 7


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(st.characters(), max_size=8), max_size=12))
def test_texts_of_every_script_come_back(texts: list[str]) -> None:
    packed = Store(pack_texts("t", texts), {}).texts("t")
    assert list(packed) == texts
    assert [packed[number] for number in range(len(packed))] == texts
    assert packed[1:3] == texts[1:3]
    with pytest.raises(IndexError):
        packed[len(texts)]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["<i8", "<f4", "|u1", "|b1"]), st.integers(0, 9), st.integers(1, 3))))
def test_arrays_of_every_kind_come_back(tmp_path_factory: pytest.TempPathFactory, shapes: list[Any]) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        str(place): rng.integers(0, 2, (rows, columns)).astype(kind)
        for place, (kind, rows, columns) in enumerate(shapes)
    }
    path = tmp_path_factory.mktemp("store") / "a.arrays"
    assert write_store(path, ["key"], arrays, {})
    store = read_store(path, ["key"])
    assert store is not None
    for name, array in arrays.items():
        assert store[name].dtype == array.dtype
        assert np.array_equal(store[name], array)
    assert read_store(path, ["other"]) is None
