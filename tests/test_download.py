"""Names of the Hub, and downloads from one that is away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from m3att.data.own.detect import detect
from m3att.download import UnreachableError, from_hub, may_be_on_hub, why_away
from m3att.errors import DataError, M3AttError, ModelError
from m3att.model_folder import find_model


@pytest.mark.parametrize("name", ["owner/name", "timm/darknet53.c2ns_in1k", "no/such", "google-bert/bert-base-uncased"])
def test_an_owner_and_a_name_may_be_on_the_hub(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert may_be_on_hub(name)
    (tmp_path / name.partition("/")[0]).mkdir()  # now it is a folder in which something is missing
    assert not may_be_on_hub(name)


@pytest.mark.parametrize(
    "name",
    [
        *("model", "no/such/path", "/model", "./model", "../model", "~/model", ".hidden/model", "model/", "/", ""),
        *("runs\\best", "photos/data.jsonl", "photos/DATA.JSON", "data/train.tar", "some/weights.safetensors"),
    ],
)
def test_what_looks_like_a_path_is_not_on_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not may_be_on_hub(name)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the Hub"))
    if name not in ("", "/"):
        with pytest.raises(ModelError, match="no such") as caught:
            find_model(name)
        assert str(caught.value).startswith(f"{name}: ") and "\n" not in str(caught.value)
        with pytest.raises(DataError, match="no such file or folder"):
            detect(name)


def test_a_missing_folder_in_one_that_is_here_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(ModelError, match=r"^runs/best: no such folder; bundled are photo, "):
        find_model("runs/best")
    with pytest.raises(ModelError, match=r"^phto: no such model; bundled are photo, "):
        find_model("phto")


def test_a_model_in_the_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model").mkdir()
    assert find_model("~/model") == tmp_path / "model"


def test_a_hub_that_is_away_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nothing listens
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    begun = time.monotonic()
    with pytest.raises(ModelError, match=r"^owner/name: neither a folder here nor .* \(the Hub cannot be reached: "):
        find_model("owner/name")
    assert time.monotonic() - begun < 10


def test_a_hub_that_says_nothing_is_waited_for_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_ETAG_TIMEOUT", 0.2)
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_, **__: time.sleep(5))
    assert why_away("owner/name", "model") == "the Hub gave no answer in 0.2 seconds"


def test_a_copy_on_this_machine_serves_where_the_hub_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m3att.download.why_away", lambda *_: "no network")
    assert from_hub("owner/name", lambda local: f"local {local}") == "local True"

    def lacking(local: bool) -> str:
        raise OSError("not in the cache\nsecond line")

    with pytest.raises(UnreachableError, match=r"^no network$"):
        from_hub("owner/name", lacking)
    monkeypatch.setattr("m3att.download.why_away", lambda *_: None)
    assert from_hub("owner/name", lambda local: f"local {local}") == "local False"
    with pytest.raises(UnreachableError, match=r"^not in the cache$"):
        from_hub("owner/name", lacking)


def test_what_a_fetch_says_in_its_own_words_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m3att.download.why_away", lambda *_: None)

    def wrong(local: bool) -> str:
        raise DataError("has no split")

    with pytest.raises(M3AttError, match=r"^has no split$"):
        from_hub("owner/name", wrong, "dataset")
