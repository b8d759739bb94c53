"""What an expression costs: every contestant is timed in every round, and differences are those of one round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from m3att.app.cli import main
from m3att.bench import speed
from m3att.bench.speed import LONGEST, Ours, expressions, measure_speed

IMAGE = np.zeros((20, 30, 3), dtype=np.uint8)


class Costs:
    """Takes a time for the image and one for each expression, on a clock of its own."""

    now = 0.0
    calls: list[tuple[str, int]]

    def __init__(self, name: str, image: float, expression: float, calls: list[tuple[str, int]]) -> None:
        self.name, self.image, self.expression, self.calls = name, image, expression, calls

    def segment(self, image_HWC: NDArray[np.uint8], texts: Sequence[str]) -> None:
        self.calls.append((self.name, len(texts)))
        Costs.now += self.image + self.expression * len(texts)


def test_costs_come_out_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed.time, "perf_counter", lambda: Costs.now)
    calls: list[tuple[str, int]] = []
    contestants = {"a": Costs("a", 0.5, 0.25, calls), "b": Costs("b", 0.0, 1.0, calls)}
    found = measure_speed(contestants, IMAGE, (1, 10), rounds=3)
    assert found["contestants"]["a"]["seconds"]["1"] == {"least": 0.75, "median": 0.75}
    assert found["contestants"]["a"]["seconds"]["10"]["least"] == 3.0
    assert found["contestants"]["a"]["further"] == 0.25 and found["contestants"]["b"]["further"] == 1.0
    assert calls == [("a", 1), ("a", 10), ("b", 1), ("b", 10)] * 4, "one round does not count"
    assert found["image"] == [20, 30] and found["rounds"] == 3


def test_one_count_has_no_further_one() -> None:
    assert measure_speed({"a": Costs("a", 0, 0, [])}, IMAGE, (4,), 1)["contestants"]["a"]["further"] is None


def test_expressions_are_as_many_and_as_long_as_wanted() -> None:
    texts = list(expressions(33))
    assert len(texts) == 33 and {len(text.split()) for text in texts} == {LONGEST}


def test_a_preset_runs_with_words_that_it_knows() -> None:
    ours = Ours.of_preset("ablation-tiny", "float32")
    masks = ours.segmenter.encode(IMAGE).segment(list(expressions(2)))
    assert [mask.mask.shape for mask in masks] == [(20, 30)] * 2
    assert not any(mask.unknown_words for mask in masks)


def test_peers_give_what_they_are_said_to_give() -> None:
    transformers = pytest.importorskip("transformers")
    peer = speed.ClipSeg.__new__(speed.ClipSeg)  # the published size takes seconds to make
    small = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4}
    config = transformers.CLIPSegConfig(
        text_config={**small, "num_hidden_layers": 2}, vision_config={**small, "image_size": 352, "patch_size": 16},
        projection_dim=32, extract_layers=[1, 2, 3], reduce_dim=16, decoder_num_attention_heads=2,
    )  # fmt: skip
    peer.network, peer.dtype = transformers.CLIPSegForImageSegmentation(config).eval(), "float32"
    assert np.asarray(peer.segment(IMAGE, list(expressions(2)))).shape == (2, 1, 20, 30)


def test_the_published_clipseg_sees_four_times_as_many_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    made = []

    class Network:
        def __init__(self, config: object) -> None:
            made.append(config)

        def eval(self) -> Network:
            return self

    monkeypatch.setattr(transformers, "CLIPSegForImageSegmentation", Network)  # the real one takes seconds to make
    for name in ("clipseg", "clipseg-16"):
        speed.PEERS[name]("float32")
    assert [config.vision_config.patch_size for config in made] == [32, 16]  # type: ignore[attr-defined]
    assert all(config.vision_config.num_hidden_layers == 12 for config in made)  # type: ignore[attr-defined]


@pytest.fixture
def _same_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command sets a variable for ONNX Runtime."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.usefixtures("_same_environment")
def test_the_command_times_each_backend_of_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "speed", "shaperef-tiny", "--backend", "pytorch", "onnx", "--expressions", "1", "--rounds", "1"]
    threads = torch.get_num_threads()
    assert main([*words, "--threads", str(threads), "--json", str(tmp_path / "speed.json")]) == 0
    found = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert list(found["contestants"]) == ["shaperef-tiny, pytorch", "shaperef-tiny, onnx"]
    assert found["cpu"] == speed.kind_of_cpu() and found["threads"] == threads
    assert "shaperef-tiny, onnx" in capsys.readouterr().out
