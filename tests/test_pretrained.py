"""Model folders: what is saved is what is loaded, and what is broken or foreign is named in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from m3att.errors import ModelError
from m3att.pretrained import CONFIG, TOKENIZER, WEIGHTS, load_model, save_model


@pytest.fixture
def folder(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model_folder, tmp_path / "model"))


def test_what_is_saved_is_what_is_loaded(tiny_model_folder: Path, tmp_path: Path) -> None:
    first = load_model(tiny_model_folder)
    assert first.world == "a world of its own"
    assert first.name == str(tiny_model_folder)
    assert not first.network.training
    save_model(tmp_path / "deep" / "copy", first.network, first.tokenizer, first.config, first.world)
    second = load_model(tmp_path / "deep" / "copy")
    assert second.config == first.config
    for name in (CONFIG, TOKENIZER, WEIGHTS):
        assert (tmp_path / "deep" / "copy" / name).read_bytes() == (tiny_model_folder / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "deep" / "copy").iterdir()) == [CONFIG, WEIGHTS, TOKENIZER]


def test_weights_without_lfr_serve_for_use(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    kept = {name: value for name, value in weights.items() if not name.startswith("lfr.")}
    assert len(kept) < len(weights)
    save_file(kept, folder / WEIGHTS)
    assert load_model(folder).network.lfr is None


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, WEIGHTS])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, f"no {name}")


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, WEIGHTS])
@pytest.mark.parametrize("content", [b"", b"not it", b"\xff\xfe\x00", b"[1, 2]", b'{"model": 1}'])
def test_a_file_of_something_else_is_named(folder: Path, name: str, content: bytes) -> None:
    (folder / name).write_bytes(content)
    refused(folder, name)


@pytest.mark.parametrize("name", [CONFIG, TOKENIZER, WEIGHTS])
def test_a_file_that_is_cut_short_is_named(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])
    refused(folder, name)


def test_another_config_is_named(folder: Path) -> None:
    values = json.loads((folder / CONFIG).read_text())
    for change in ({"m3att": 2}, {"stranger": 1}, {"model": {**values["model"], "channels": "many"}}):
        (folder / CONFIG).write_text(json.dumps(values | change))
        refused(folder, CONFIG)


def test_weights_of_another_network_are_named(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    name = next(iter(weights))
    for wrong, word in (
        ({key: value for key, value in weights.items() if key != name}, "lacks"),
        ({**weights, "stranger": torch.zeros(1)}, "foreign weight stranger"),
        ({**weights, name: torch.zeros(1, 2, 3, 4, 5)}, "another shape"),
    ):
        save_file(wrong, folder / WEIGHTS)
        refused(folder, word)


def test_weights_that_are_no_fractions_are_named(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    name = next(name for name, weight in weights.items() if weight.is_floating_point())
    for wrong in (weights[name] * torch.nan, weights[name] / 0, weights[name].long()):
        save_file({**weights, name: wrong}, folder / WEIGHTS)
        refused(folder, f"{name} holds what is no finite fraction")


def test_a_tokenizer_that_would_fail_later_is_refused(folder: Path) -> None:
    tokenizer = json.loads((folder / TOKENIZER).read_text())
    vocabulary = tokenizer["model"]["vocab"]
    for model in (
        {"vocab": {**vocabulary, next(word for word in vocabulary if word.isalpha()): 10**6}},
        {"unk_token": "[X]"},
    ):
        (folder / TOKENIZER).write_text(json.dumps({**tokenizer, "model": {**tokenizer["model"], **model}}))
        refused(folder, f"{folder / TOKENIZER}: the tokenizer")


def test_a_config_that_never_ends_is_refused(folder: Path) -> None:
    (folder / CONFIG).write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    refused(folder, CONFIG)


def test_another_vocabulary_is_refused(folder: Path) -> None:
    tokenizer = json.loads((folder / TOKENIZER).read_text())
    tokenizer["model"]["vocab"]["zebra"] = len(tokenizer["model"]["vocab"])
    (folder / TOKENIZER).write_text(json.dumps(tokenizer))
    refused(folder, "another shape")


def test_an_unknown_name_is_answered_with_what_there_is() -> None:
    for name, kind in (("no-such-model", "model"), ("./no/such/folder", "folder"), ("~/no-such-model", "folder")):
        with pytest.raises(ModelError, match=f"{name}: no such {kind}; bundled are"):
            load_model(name)


def test_a_run_folder_names_its_models(folder: Path) -> None:
    run = folder.parent
    folder.rename(run / "last")
    refused(run, f"its models are .*best and .*{run / 'last'}")


def test_a_file_is_no_model_folder(folder: Path) -> None:
    refused(folder / WEIGHTS, "is a file; give the folder")


def test_weights_that_cannot_be_written_are_named(folder: Path) -> None:
    model = load_model(folder)
    (folder / "sub" / WEIGHTS).mkdir(parents=True)  # a folder stands where the file should be
    with pytest.raises(ModelError, match=r"sub/model\.safetensors: cannot be written"):
        save_model(folder / "sub", model.network, model.tokenizer, model.config)


def refused(folder: Path, word: str) -> None:
    with pytest.raises(ModelError, match=word) as caught:
        load_model(folder)
    assert len(str(caught.value).splitlines()) == 1
    assert str(folder) in str(caught.value)
