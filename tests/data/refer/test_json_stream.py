"""Reading JSON entry by entry gives what reading it whole gives, wherever the window cuts it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from m3att.data.refer import json_stream
from m3att.data.refer.json_stream import BEGIN, stream_json
from m3att.errors import DataError

LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6)
VALUE = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def collected(path: Path) -> Any:
    """The file as the stream tells it."""
    whole: dict[str, Any] = {}
    for key, entry in stream_json(path):
        if key not in whole:
            whole[key] = [] if entry is BEGIN else entry
        else:
            whole[key].append(entry)
    return whole


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=4), st.lists(VALUE, max_size=5)),
    st.integers(1, 40),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_as_if_read_whole(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any], chunk: int, indent: int | None, escaped: bool
) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_bytes(json.dumps(content, indent=indent, ensure_ascii=escaped).encode("utf-8", "replace"))
    expected = json.loads(path.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        assert collected(path) == expected


def test_a_bare_list_has_an_empty_key(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(' [ 12, {"a": [1, 2]} ,"x"]\n')
    assert list(stream_json(path)) == [("", BEGIN), ("", 12), ("", {"a": [1, 2]}), ("", "x")]
    path.write_text("[]")
    assert list(stream_json(path)) == [("", BEGIN)]
    path.write_text("{}")
    assert list(stream_json(path)) == []
    path.write_text('{"info": {"year": 2014}, "images": []}')
    assert list(stream_json(path)) == [("info", {"year": 2014}), ("images", BEGIN)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON .it ends too early"),
        ("{", "not JSON"),
        ("[1, 2", "not JSON .it ends too early"),
        ("[1 2]", "not JSON .',' or ']' is missing"),
        ("[1,]", "not JSON"),
        ('{"a": [1], }', "not JSON"),
        ('{"a" 1}', "not JSON .':' is missing"),
        ("{1: 2}", "not JSON .a key is no text"),
        ("[1] 2", "not JSON .something follows the end"),
        ("17", "no JSON object and no list"),
        ("[" + "[" * 100_000, "not JSON"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as refusal:
        list(stream_json(path))
    assert "\n" not in str(refusal.value)
    assert str(path) in str(refusal.value)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'["\xff\xfe"]')
    with pytest.raises(DataError, match="not JSON"):
        list(stream_json(path))
    with pytest.raises(DataError, match="cannot be read"):
        list(stream_json(tmp_path / "absent.json"))
