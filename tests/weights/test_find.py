"""Where a weight file is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3att.errors import ModelError
from m3att.weights.find import find_file


def test_a_file_a_folder_and_a_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def download(repository: str, file: str, local_files_only: bool) -> str:
        assert not local_files_only
        asked.append((repository, file))
        return str(tmp_path / file)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("m3att.download.why_away", lambda *_: None)
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"x")
    assert find_file(str(path), "other") == path
    assert find_file(str(tmp_path), "model.safetensors") == path
    assert asked == []
    assert find_file("timm/darknet53.c2ns_in1k", "model.safetensors") == path
    assert asked == [("timm/darknet53.c2ns_in1k", "model.safetensors")]


def test_a_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "file").write_bytes(b"x")
    assert find_file("~/file", "other") == tmp_path / "file"


@pytest.mark.parametrize("name", ["weights", "./weights/a", "/no/where", "~/nothing", "a/b/c", "a/b.weights"])
def test_a_missing_path_is_not_asked_of_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_: pytest.fail("asked the Hub"))
    with pytest.raises(ModelError, match="no such file"):
        find_file(name, "model.safetensors")


def test_what_the_hub_does_not_give_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str, **__: bool) -> str:
        raise OSError("no file\nand a second line")

    monkeypatch.setattr("m3att.download.why_away", lambda *_: None)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(ModelError) as caught:
        find_file("weights/darknet53.conv.74", "model.safetensors")
    assert "weights/darknet53.conv.74: neither a file here nor to be had from the Hub (no file)" in str(caught.value)


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a folder without model\.safetensors"):
        find_file(str(tmp_path), "model.safetensors")
