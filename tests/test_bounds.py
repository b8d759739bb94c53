"""What settings may be, alone and together."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from m3att.bounds import RANGES, check_fit, check_range
from m3att.config import DataConfig, EvaluateConfig, RunConfig
from m3att.data.augment.pictures import augmented
from m3att.data.batch import BatchReader
from m3att.data.held_out import held_out_images
from m3att.data.open import open_beside, portions
from m3att.data.order import TrainingOrder
from m3att.data.shaperef.source import ShapeRefSource
from m3att.data.shaperef.writer import write_refer
from m3att.data.text import Tokenizer
from m3att.engine.batches import count_steps
from m3att.engine.evaluate import evaluate
from m3att.engine.optim import build_optimizer, learning_rate_at
from m3att.engine.step import train_step
from m3att.engine.train import train
from m3att.errors import ConfigError
from m3att.model.build import build_network
from m3att.segmenter import Segmenter
from m3att.settings import config_from_dict, config_to_dict, nest, settings_of


@pytest.mark.parametrize("key", RANGES)
def test_a_number_beyond_a_limit_is_told_the_limit(key: str) -> None:
    low, high = RANGES[key].low, RANGES[key].high
    for value in (low - 1, 2 * high + 1):
        with pytest.raises(ConfigError) as caught:
            check_range(key, value)
        named = [float(word) for word in re.findall(r"[-\d.]+(?:e-?\d+)?", str(caught.value).partition("give ")[2])]
        assert named == [low, high], str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train": {"batch_size": 0}}, "train.batch_size: 0 is out of range, give 1 to 65536"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate: nan is out of range, give 0 to 1e12"),
        ({"train": {"learning_rate": float("inf")}}, "train.learning_rate: inf is out of range, give 0 to 1e12"),
        ({"train": {"learning_rate": 1e30}}, "train.learning_rate: 1e+30 is out of range, give 0 to 1e12"),
        ({"train": {"steps": 0}}, "train.steps: 0 is out of range, give 1 to 1e12"),
        ({"train": {"validate_images": 10**10}}, "train.validate_images: 10000000000 is out of range, give 1 to 1e9"),
        ({"evaluate": {"threshold": 1}}, "evaluate.threshold: 1.0 is out of range, give 0 up to, but not including, 1"),
        ({"model": {"language": {"word_dropout": 1.5}}}, "word_dropout: 1.5 is out of range, give 0 to 1"),
        ({"train": {"epochs": 0}}, "train.epochs: 0.0 is out of range, give more than 0 to 1e12"),
        ({"model": {"vision": {"widths": [], "blocks": []}}}, "model.vision: widths [] and blocks []"),
        ({"model": {"vision": {"widths": [0], "blocks": [0]}}}, "model.vision.widths: [0] is out of range, give 1 to"),
        (
            {"model": {"vision": {"widths": [8], "blocks": [-1]}}},
            "model.vision.blocks: [-1] is out of range, give 0 to",
        ),
        ({"model": {"vision": {"widths": [9**9], "blocks": [0]}}}, "give 1 to 16384 for each stage"),
        ({"model": {"decoder": {"heads": 7}}}, "model.channels: 256 is no multiple of model.decoder.heads 7"),
        ({"model": {"channels": 6, "decoder": {"heads": 2}}}, "model.channels: 6 is no multiple of 4"),
        ({"model": {"vision": {"widths": [8]}}}, "model.vision: widths [8] and blocks [0, 1, 2]"),
        ({"model": {"mask": {"narrowing": 10}}}, "model.mask.channels: 512 cannot narrow 3 times by 10"),
        ({"input": {"size": 8}, "model": {"vision": {"widths": [1] * 4, "blocks": [0] * 4}}}, "input.size: 8 is too"),
        (
            {"train": {"early_sizes": [96, 0], "early_steps": [1, 2]}},
            "train.early_sizes: [96, 0] is out of range, give 8 to input.size 416; for one size throughout give "
            "train.early_sizes '[]' and train.early_steps '[]'",
        ),
        (
            {
                "train": {"early_sizes": [8], "early_steps": [1]},
                "model": {"vision": {"widths": [1] * 4, "blocks": [0] * 4}},
            },
            "train.early_sizes: [8] is too small: the backbone halves it 4 times",
        ),
        ({"train": {"early_sizes": [8, 8], "early_steps": [5, 5]}}, "train.early_steps: [5, 5] do not rise from 1 or"),
        ({"train": {"restarts": [9, 3]}}, "train.restarts: [9, 3] do not rise from 1 or more"),
        ({"train": {"restarts": [0]}}, "train.restarts: [0] do not rise from 1 or more"),
        (
            {"train": {"fresh": ["lfr"]}},
            "train.fresh: needs train.init; without it, every part starts from fresh weights",
        ),
        (
            {"train": {"attention_weight": 0.1}, "model": {"decoder": {"attention": "val"}}},
            "train.attention_weight: model.decoder.attention val does not attend to positions",
        ),
        (
            {"train": {"attention_weight": 0.1}, "model": {"decoder": {"attention": "vision_query"}}},
            "train.attention_weight: model.decoder.attention vision_query does not attend to positions",
        ),
        (
            {"model": {"decoder": {"attention": "vision_query", "interaction": "constant"}}},
            "model.decoder.interaction: constant adds the words to the rows of F_dec, but with",
        ),
        ({"model": {"grid_size": 4}}, "model.grid_size: 4 is out of range, give 8 to 4096"),
        (
            {"model": {"vision": {"map_strides": [8, 16]}}},
            "model.vision.map_strides: tiny has none; it is a setting of efficientnet-lite0, efficientnet-lite1",
        ),
        (
            {"model": {"vision": {"encoder": "efficientnet-lite0", "map_strides": [8, 32]}}},
            "model.vision.map_strides: [8, 32]; give some of 2, 4, 8, 16, 32 in a row",
        ),
        (
            {"model": {"vision": {"encoder": "efficientnet-lite0", "map_strides": [32, 64]}}},
            "model.vision.map_strides: [32, 64]; give some of 2, 4, 8, 16, 32 in a row",
        ),
        (
            {"model": {"mask": {"skip_strides": [8, 8]}}},
            "model.mask.skip_strides: [8, 8]; give some of 2, 4, 8, 16, 32, each once",
        ),
        (
            {"model": {"mask": {"skip_strides": [3]}}},
            "model.mask.skip_strides: [3]; give some of 2, 4, 8, 16, 32, each once",
        ),
        (
            {"model": {"vision": {"architecture": "swin-b"}}},
            "vision.architecture: tiny has none",
        ),
        (
            {"model": {"vision": {"encoder": "darknet53", "architecture": "x"}}},
            "architecture: darknet53 has none",
        ),
        ({"model": {"language": {"architecture": "bert-base"}}}, "model.language.architecture: birnn has none"),
        ({"model": {"vision": {"encoder": "huggingface"}}}, "model.vision: the encoder huggingface needs weights, an"),
        ({"model": {"language": {"encoder": "huggingface"}}}, "model.language: the encoder huggingface needs weights"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_dict(values)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ranges_speak_of_fields_that_exist() -> None:
    assert set(RANGES) <= set(settings_of(RunConfig))
    for key, allowed in RANGES.items():
        default = settings_of(RunConfig)[key].default
        assert default is None or default in allowed


def ends_of(key: str) -> tuple[float, float]:
    """The smallest and the largest value that a setting takes, of its own type."""
    low, high, above, below = RANGES[key]
    if settings_of(RunConfig)[key].hint in (int, int | None):
        assert not above and not below
        return int(low), int(high)
    return math.nextafter(low, math.inf) if above else low, math.nextafter(high, -math.inf) if below else high


@pytest.mark.parametrize("key", RANGES)
def test_both_ends_of_a_range_are_in_it_and_nothing_beyond(key: str) -> None:
    low, high, above, below = RANGES[key]
    for value in ends_of(key):
        check_range(key, value)
    for value in (low if above else low - 1e-3, high if below else high * 2, math.nan, -math.inf):
        with pytest.raises(ConfigError, match=key.replace(".", r"\.")):
            check_range(key, value)


def at_end(key: str, value: float) -> RunConfig:
    """The smallest run with one setting at an end of its range, and what must fit with it."""
    values = {
        "model.channels": 4, "model.word_limit": 24, "model.vision.widths": [4], "model.vision.blocks": [0],
        "model.vision.encoder_layers": 1, "model.language.word_channels": 4, "model.decoder.layers": 1,
        "model.decoder.heads": 1, "model.decoder.feedforward": 1, "model.mask.channels": 4,
        "model.mask.upsamplings": 1, "input.size": 16, "train.batch_size": 4, "train.warmup": 0, "train.workers": 0,
        "train.optimizer": "adamw",
    }  # fmt: skip
    partners: dict[str, dict[str, Any]] = {
        "model.decoder.heads": {"model.channels": 256},
        "model.decoder.mutual_heads": {"model.channels": 256},
        "model.mask.narrowing": {"model.mask.channels": 256},
        "train.fall": {"train.schedule": "trapezoid"},
    }
    if key == "model.channels":
        value = max(value, 4)  # the positional encoding needs a multiple of 4, which `check_fit` says
    return config_from_dict(nest({**values, **partners.get(key, {}), key: value}))


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key in RANGES if key.startswith(("model", "input")) for value in ends_of(key)]
)
def test_a_network_is_built_at_both_ends(key: str, value: float) -> None:
    config = at_end(key, value)
    with torch.device("meta"):  # which builds the largest without a byte of it
        network = build_network(config.model, config.input.size, 10)
    assert sum(weight.numel() for weight in network.parameters()) > 0


NUMBERS_OF_A_STEP = [
    *("model.decoder.dropout", "model.language.word_dropout", "model.word_limit", "train.learning_rate", "train.fall"),
    *("train.weight_decay", "train.warmup", "train.clip", "train.mask_weight", "train.reconstruction_weight"),
    *(
        "train.dice_weight",
        "train.attention_weight",
        "train.ranking_weight",
        "train.box_weight",
        "train.category_weight",
        "train.pretrained_rate",
        "train.layer_decay",
        "train.focal_gamma",
    ),
    *("train.seed", "data.seed", "train.steps", "train.batch_size", "data.per_image"),
]


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in NUMBERS_OF_A_STEP for value in ends_of(key)])
def test_a_step_is_taken_at_both_ends(key: str, value: float) -> None:
    config = at_end(key, value)
    train = config.train
    with torch.random.fork_rng():
        torch.manual_seed(train.seed)
        source = ShapeRefSource("shaperef", "train", 2, config.data.seed)
        tokenizer = Tokenizer.from_texts(["the red ball"], config.model.word_limit)
        categories = len(source.category_names) + 1 if train.category_weight else 0
        network = build_network(config.model, config.input.size, tokenizer.size, categories)
        order = TrainingOrder(source, train.batch_size, config.data, train.seed, 0)
        reader = BatchReader(source, tokenizer, config.input, config.data, True, categories > 0)
        rate = learning_rate_at(0, train.steps or 10, train)
        optimizer = build_optimizer(network, train)
        losses, norm = train_step(network, network, optimizer, [reader[next(iter(order))]], config, rate)
    assert losses.total.isfinite() and norm.isfinite() and math.isfinite(rate)


@pytest.mark.parametrize("value", ends_of("train.threads"))
def test_pytorch_computes_with_both_ends_of_threads(value: int) -> None:
    """One sum, long enough to be divided: a whole step of 1,024 threads on few cores takes seconds."""
    before = torch.get_num_threads()
    torch.set_num_threads(value)
    try:
        assert torch.get_num_threads() == value
        assert torch.ones(2**18).sum() == 2**18
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("value", ends_of("evaluate.threshold"))
def test_masks_are_made_at_both_ends_of_the_threshold(tiny_model_folder: Path, value: float) -> None:
    segmenter = Segmenter.from_pretrained(tiny_model_folder)
    scene = segmenter.encode(np.zeros((20, 30, 3), dtype=np.uint8))
    assert scene.segment("the man", threshold=value)[0].mask.all() == (value == 0)
    config, data = EvaluateConfig(threshold=value), DataConfig(images=1)
    scores = evaluate(
        segmenter.pretrained.network,
        segmenter.pretrained.tokenizer,
        ShapeRefSource("shaperef", "val", 1, 0),
        segmenter.pretrained.config.input,
        config,
        data,
    )
    assert scores.shown.threshold == value


NUMBERS_OF_A_RUN = [
    *("train.log_every", "train.validate_every", "train.save_every", "train.validate_images", "train.workers"),
    *("train.keep_last", "train.keep_every", "train.bad_steps", "train.ema", "train.patience", "train.tracked_images"),
    "train.accumulate",
    *("data.images", "data.fault_limit", "evaluate.batch_size"),
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two images to train on and two to validate on, so that no number of images is without end."""
    root = tmp_path_factory.mktemp("drawn")
    write_refer(root, "shaperef", {"train": 2, "val": 2}, size=64)
    return root


@pytest.mark.parametrize("end", [0, 1], ids=["smallest", "largest"])
def test_a_run_is_made_at_both_ends(drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: int) -> None:
    wanted = []

    class Loader(DataLoader[Any]):  # two processes for the largest number, which would take the machine that tests
        def __init__(self, *words: Any, num_workers: int, **options: Any) -> None:
            wanted.append(num_workers)
            super().__init__(*words, num_workers=min(num_workers, 2), **options)

    monkeypatch.setattr("m3att.engine.batches.DataLoader", Loader)
    values = {key: ends_of(key)[end] for key in NUMBERS_OF_A_RUN}
    given = {"data.root": str(drawn), "data.dataset": "shaperef", "train.steps": 2, "train.device": "cpu"}
    config = config_from_dict(nest(values), config_from_dict(nest(given), at_end("train.batch_size", 4)))
    last = train(config, tmp_path / "run")
    assert (last / "model.safetensors").is_file()
    assert wanted == [RANGES["train.workers"][end]] * len(wanted) and wanted


@pytest.mark.parametrize("value", ends_of("train.epochs"))
def test_a_run_has_a_length_at_both_ends(value: float) -> None:
    config = at_end("train.epochs", value)
    steps = count_steps(config, ShapeRefSource("shaperef", "train", 2, 0))
    assert steps == 1 if value < 1 else steps > 1e12
    assert math.isfinite(learning_rate_at(0, steps, config.train))


@pytest.mark.parametrize("value", ends_of("data.held_out"))
def test_something_is_left_to_train_on_at_both_ends(value: float) -> None:
    assert len(held_out_images(10, value, 0)) in (0, 9)


@pytest.mark.parametrize("value", ends_of("data.beside_share"))
def test_data_beside_have_a_number_of_images_at_both_ends(tmp_path: Path, value: float) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    line = {"image": "a.png", "expression": "left", "mask": [[1, 1, 8, 1, 8, 8]]}
    (tmp_path / "own.jsonl").write_text(json.dumps(line), encoding="utf-8")
    beside = open_beside(DataConfig(beside=(str(tmp_path / "own.jsonl"),), beside_share=value), 10)
    assert len(beside) in (1, 990)


@pytest.mark.parametrize("value", ends_of("data.old_share"))
def test_old_data_have_a_number_of_images_at_both_ends(value: float) -> None:
    assert portions(DataConfig(old=("a", "b"), old_share=value), 10) in ([1, 1], [495, 495])


@pytest.mark.parametrize(("crop", "jitter"), [*zip(ends_of("data.crop"), ends_of("data.jitter"), strict=True)])
def test_images_are_changed_at_both_ends(crop: float, jitter: float) -> None:
    sample = ShapeRefSource("shaperef", "train", 2, 0, size=64).read(0)
    sample = replace(sample, expressions=("the dog",) * len(sample.expressions))
    changed = augmented(sample, DataConfig(crop=crop, jitter=jitter), 3)
    assert changed.masks_MHW.sum() == sample.masks_MHW.sum()


def test_every_range_is_tried() -> None:
    """Collages, whose side the last one is, need photos: tests/data/collage."""
    tried = {*NUMBERS_OF_A_STEP, *NUMBERS_OF_A_RUN, "train.epochs", "train.threads", "evaluate.threshold"}
    tried |= {"data.held_out", "data.beside_share", "data.old_share", "data.collage_side", "data.crop", "data.jitter"}
    assert set(RANGES) == tried | {key for key in RANGES if key.startswith(("model", "input"))}  # a network is built


@pytest.mark.parametrize("train", [{"early_sizes": [96]}, {"early_steps": [10]}], ids=str)
def test_half_of_an_early_phase_is_refused(train: dict[str, list[int]]) -> None:
    with pytest.raises(ConfigError, match="give one of each a phase"):
        check_fit(config_from_dict({"train": train}))


@pytest.mark.parametrize(
    "model",
    [
        {"vision": {"encoder": "darknet53", "weights": "darknet53.conv.74", "freeze": True, "early_fusion": True}},
        {"vision": {"encoder": "huggingface", "weights": "owner/name"}},
        {"vision": {"encoder": "huggingface", "architecture": "swin-b", "weights": "owner/name", "early_fusion": True}},
        {"language": {"encoder": "huggingface", "architecture": "bert-base", "freeze": True}, "mask_padding": False},
        {"language": {"weights": "glove.txt", "freeze": True}},
        {"vision": {"early_fusion": True}, "mask_padding": False},
    ],
    ids=str,
)
def test_what_fits_is_taken(model: dict[str, Any]) -> None:
    config = config_from_dict({"model": model})
    assert config_from_dict(config_to_dict(config)) == config
