"""What `benchmarks/why.py` says of networks of which the answer is known."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from m3att.model.build import build_network
from m3att.pretrained import Pretrained, load_model

IMAGES = 8


@pytest.fixture(scope="module")
def why(repository: Path) -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(repository / "benchmarks"))
        yield importlib.import_module("why")


@pytest.fixture(scope="module")
def trained() -> Pretrained:
    return load_model("shaperef-tiny")


def fresh(trained: Pretrained, attention: str) -> Pretrained:
    """A network with another attention and fresh weights, whose residual branches start at zero."""
    torch.manual_seed(0)
    model = trained.config.model
    decoder = replace(model.decoder, attention=attention, fusion_vision=False)
    config = replace(trained.config, model=replace(model, decoder=decoder))
    network = build_network(config.model, config.input.size, words=trained.tokenizer.size).eval()
    return replace(trained, config=config, network=network)


def test_all_is_said_of_a_network_that_looks(why: ModuleType, trained: Pretrained) -> None:
    found = why.explain(trained, IMAGES)
    assert (found["attention"], found["mask_padding"]) == ("shared", False)
    looks = found["looks"]
    assert looks["mean_iou"]["whole"] > looks["mean_iou"]["another image"] + 0.1
    assert sum(row["expressions"] for row in found["by_words"].values()) == looks["expressions"]
    whole = sum(row["mean_iou"] * row["expressions"] for row in found["by_words"].values()) / looks["expressions"]
    assert whole == pytest.approx(looks["mean_iou"]["whole"])
    assert len(found["gradient"]) == len(found["f_mul"]) == 3 and max(found["gradient"]) > 0.01
    assert all(0 <= row["same_everywhere"] <= 1 and row["effective_rank"] >= 1 for row in found["f_mul"])
    assert set(found["words"]) == {"f_dec", "f_t"}
    assert json.loads(json.dumps(found)) == found


def test_an_attention_whose_output_starts_at_zero_has_no_part_in_the_loss(why: ModuleType, trained: Pretrained) -> None:
    found = why.gradient_and_rank(fresh(trained, "generic"), IMAGES)
    assert found == {"gradient": [0.0, 0.0, 0.0], "f_mul": []}


def test_positions_that_ask_words_have_words_to_tell_and_no_attention_to_positions(
    why: ModuleType, trained: Pretrained
) -> None:
    model = fresh(trained, "vision_query")
    assert why.gradient_and_rank(model, IMAGES) == {"gradient": [], "f_mul": []}
    assert set(why.words_told(model, IMAGES)) == {"f_dec", "f_t"}


def test_a_folder_of_ablations_means_its_finished_runs(why: ModuleType, tmp_path: Path) -> None:
    for name, state in (
        ("table-1/a/seed-0", "finished"),
        ("table-1/a/seed-1", "failed"),
        ("table-2/b/seed-0", "finished"),
    ):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "result.json").write_text(json.dumps({"state": state}))
    found = dict(why.models_of([str(tmp_path), "shaperef-tiny"]))
    assert list(found) == ["table-1/a/seed-0", "table-2/b/seed-0", "shaperef-tiny"]
    assert found["table-2/b/seed-0"] == str(tmp_path / "table-2/b/seed-0/last")
