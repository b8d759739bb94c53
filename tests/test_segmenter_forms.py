"""The network's other forms from a model folder: Segmenter, evaluation and the bare network say the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from m3att import Segmenter
from m3att.config import DataConfig, EvaluateConfig, RunConfig
from m3att.data.open import open_source
from m3att.engine.evaluate import evaluate
from m3att.model.build import build_network
from m3att.model.vision.encoder import VisionEncoder
from m3att.pretrained import load_model, save_model

TEXTS = ["the dog that is not black", "a cat", "cat", "the man in red"]  # 6, 2, 1 and 4 words; the limit is 8
FORMS = {
    "padding as words": (False, False),
    "early fusion": (True, True),
    "both": (False, True),
}


@pytest.fixture(scope="module", params=FORMS)
def segmenter(
    request: pytest.FixtureRequest, tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Segmenter:
    """The tiny random network in another form, through a folder of its own."""
    mask_padding, early_fusion = FORMS[request.param]
    tiny = load_model(tiny_model_folder)
    vision = dataclasses.replace(tiny.config.model.vision, early_fusion=early_fusion)
    model = dataclasses.replace(tiny.config.model, mask_padding=mask_padding, vision=vision)
    config: RunConfig = dataclasses.replace(tiny.config, model=model)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = build_network(model, config.input.size, tiny.tokenizer.size)
    network.load_state_dict(tiny.network.state_dict(), strict=False)
    folder = tmp_path_factory.mktemp("form")
    save_model(folder, network, tiny.tokenizer, config)
    made = Segmenter.from_pretrained(folder, device="cpu")
    assert made.pretrained.config.model == model
    return made


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def test_a_scenes_masks_are_the_networks(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    scene = segmenter.encode(image)
    pixels_BCHW = torch.from_numpy(scene.resize.image(image)).permute(2, 0, 1)[None]
    words = segmenter.tokenizer(TEXTS)
    with torch.no_grad():
        output = segmenter.network(
            pixels_BCHW, torch.zeros(len(TEXTS), dtype=torch.int64), words.word_ids_NL, words.word_mask_NL
        )
    for prediction, logits_HW in zip(scene.segment(TEXTS), output.mask_logits_NHW, strict=True):
        np.testing.assert_allclose(prediction.mask_logits, logits_HW.numpy(), rtol=1e-4, atol=1e-3)


def test_a_mask_does_not_hang_on_what_else_is_asked(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    scene = segmenter.encode(image)
    for prediction in scene.segment(TEXTS):
        (alone,) = scene.segment(prediction.expression)
        np.testing.assert_allclose(prediction.mask_logits, alone.mask_logits, rtol=1e-4, atol=1e-3)


def test_the_trunk_runs_once_a_scene(
    segmenter: Segmenter, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    maps_of = VisionEncoder.backbone_maps
    monkeypatch.setattr(VisionEncoder, "backbone_maps", lambda self, px: seen.append(len(px)) or maps_of(self, px))
    scene = segmenter.encode(image)
    for text in TEXTS:
        scene.segment(text)
    assert seen == [1]


def test_a_score_does_not_hang_on_the_batches(segmenter: Segmenter) -> None:
    source = open_source(DataConfig(dataset="shaperef", images=3), "val")
    found = [
        evaluate(
            segmenter.network, segmenter.tokenizer, source, segmenter.pretrained.config.input,
            EvaluateConfig(batch_size=size), DataConfig(images=3),
        ).mean_iou
        for size in (1, 7, 64)
    ]  # fmt: skip
    assert found[1:] == pytest.approx(found[:1] * 2, abs=1e-3)
    assert found[0] > 0
