"""Darknet's files against a reader and a network of the test's own, by Darknet's rules; timm's by its names."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from m3att.errors import ModelError
from m3att.model.vision.contract import IMAGENET_MEAN, IMAGENET_STD
from m3att.model.vision.darknet53 import DarknetTrunk
from m3att.weights.darknet import fill_trunk, read_darknet, timm_name

SMALL_WIDTHS, SMALL_BLOCKS = (4, 6, 4, 8, 6, 10), (1, 2, 3, 1, 2)
SEEN_64 = struct.pack("<3iq", 0, 2, 0, 32013312)  # the header of every file since 2017
HEADERS = {
    "0.1": struct.pack("<4i", 0, 1, 0, 32013312),
    "0.0": struct.pack("<4i", 0, 0, 7, 5),
    "0.2": SEEN_64,
    "0.2.5": struct.pack("<3iq", 0, 2, 5, 2**40),
    "1.0": struct.pack("<3iq", 1, 0, 0, 0),
}


def darknet_cfg(widths: tuple[int, ...], blocks: tuple[int, ...]) -> list[dict[str, int]]:
    """The sections of darknet53.cfg as they stand there, at other widths and depths."""
    layers = [{"filters": widths[0], "size": 3, "stride": 1}]
    for filters, count in zip(widths[1:], blocks, strict=True):
        layers.append({"filters": filters, "size": 3, "stride": 2})
        for _ in range(count):
            layers.append({"filters": filters // 2, "size": 1, "stride": 1})
            layers.append({"filters": filters, "size": 3, "stride": 1})
            layers.append({"from": -3})
    return layers


def random_layers(cfg: list[dict[str, int]], seed: int = 0) -> Iterator[dict[str, np.ndarray]]:
    """Weights of every convolution of a cfg, in its order."""
    random, channels = np.random.default_rng(seed), 3
    for layer in cfg:
        if "from" in layer:
            continue
        shape = (layer["filters"], channels, layer["size"], layer["size"])
        yield {
            "bias": random.normal(0, 0.3, shape[0]),
            "scale": random.uniform(0.5, 1.5, shape[0]),
            "mean": random.normal(0, 0.3, shape[0]),
            "variance": random.uniform(0.5, 2, shape[0]),
            "kernel": random.normal(0, (shape[1] * shape[2] * shape[3]) ** -0.5, shape),
        }
        channels = layer["filters"]


def darknet_file(path: Path, header: bytes = SEEN_64, after: bytes = b"", seed: int = 0) -> Path:
    """A file of the small Darknet, as Darknet writes it."""
    parts = [header]
    for layer in random_layers(darknet_cfg(SMALL_WIDTHS, SMALL_BLOCKS), seed):
        parts += [layer[name].astype("<f4").tobytes() for name in ("bias", "scale", "mean", "variance", "kernel")]
    path.write_bytes(b"".join(parts) + after)
    return path


def run_darknet(file: bytes, cfg: list[dict[str, int]], rgb_BCHW: Tensor) -> list[Tensor]:
    """What Darknet computes: the cfg layer by layer, the values in the order of the file. Returns every layer's map."""
    values, start = np.frombuffer(file, "<f4"), 0

    def take(*shape: int) -> Tensor:
        nonlocal start
        start += int(np.prod(shape))
        return torch.from_numpy(values[start - int(np.prod(shape)) : start].astype(np.float64).reshape(shape))

    maps = [rgb_BCHW]
    for layer in cfg:
        if "from" in layer:
            maps.append(maps[-1] + maps[layer["from"]])
            continue
        filters, size = layer["filters"], layer["size"]
        bias, scale, mean, variance = (take(filters)[:, None, None] for _ in range(4))
        kernel = take(filters, maps[-1].shape[1], size, size)
        made_BCHW = functional.conv2d(maps[-1], kernel, stride=layer["stride"], padding=size // 2)
        made_BCHW = (made_BCHW - mean) / (variance + 1e-5).sqrt() * scale + bias
        maps.append(torch.where(made_BCHW > 0, made_BCHW, 0.1 * made_BCHW))
    assert start == len(values)
    return maps[1:]


def small() -> DarknetTrunk:
    return DarknetTrunk(SMALL_WIDTHS, SMALL_BLOCKS).eval()


def normalised(rgb_BCHW: Tensor) -> Tensor:
    """Pixels in [0, 1] as the network hands them to its backbone."""
    mean, deviation = (
        torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD)
    )
    return (rgb_BCHW * 255 - mean) / deviation


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_forward_is_darknets_own(tmp_path: Path, header: bytes) -> None:
    path = darknet_file(tmp_path / "darknet53.conv.74", header)
    trunk = small()
    fill_trunk(trunk, str(path))
    rgb_BCHW = torch.rand(2, 3, 70, 45, dtype=torch.float64)
    cfg = darknet_cfg(SMALL_WIDTHS, SMALL_BLOCKS)
    maps = run_darknet(path.read_bytes()[len(header) :], cfg, rgb_BCHW)
    ends = [number for number, layer in enumerate(cfg) if layer.get("stride") == 2][1:]
    expected = [maps[end - 1] for end in (*ends, len(maps))][-3:]  # the last map before each halving
    found = trunk.double()(normalised(rgb_BCHW))
    for scale, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(scale, wanted, rtol=1e-5, atol=1e-5)


def test_each_value_lands_in_its_place(tmp_path: Path) -> None:
    trunk = small()
    fill_trunk(trunk, str(darknet_file(tmp_path / "trunk")))
    layers = list(random_layers(darknet_cfg(SMALL_WIDTHS, SMALL_BLOCKS)))
    for (_, made), layer in zip(trunk.convolutions(), layers, strict=True):
        for own, name in (
            (made.norm.bias, "bias"),
            (made.norm.weight, "scale"),
            (made.norm.running_mean, "mean"),
            (made.norm.running_var, "variance"),
            (made.conv.weight, "kernel"),
        ):
            assert torch.equal(own, torch.from_numpy(layer[name]).float())


def test_the_true_file_has_the_published_size(tmp_path: Path) -> None:
    """darknet53.conv.74 is published with 162,482,580 bytes."""
    path = tmp_path / "darknet53.conv.74"
    path.write_bytes(SEEN_64 + bytes(4000))
    with torch.device("meta"):
        trunk = DarknetTrunk()
    with pytest.raises(
        ModelError, match="within layer 2 of 52: it has 4,020 bytes where Darknet-53 needs 162,482,580;"
    ):
        read_darknet(path, trunk)


def test_what_follows_the_trunk_is_left_unread(tmp_path: Path) -> None:
    plain, longer = small(), small()
    fill_trunk(plain, str(darknet_file(tmp_path / "darknet53.conv.74")))
    fill_trunk(longer, str(darknet_file(tmp_path / "yolov3.weights", after=b"\xff" * 1001)))
    assert all(torch.equal(value, longer.state_dict()[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize(("left", "layer"), [(20, 1), (24, 1), (20 + 4 * (4 * 4 + 108), 2), (2000, 4), (-1, 24)])
def test_a_file_cut_short_names_itself_the_layer_and_the_bytes(tmp_path: Path, left: int, layer: int) -> None:
    path = darknet_file(tmp_path / "cut.weights")
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    trunk = small()
    before = {name: value.clone() for name, value in trunk.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        fill_trunk(trunk, str(path))
    message = str(caught.value)
    assert f"{path}: ends within layer {layer} of 24" in message and "\n" not in message
    assert f"{path.stat().st_size:,} bytes" in message and f"needs {len(whole):,}" in message
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 bytes"),
        (b"\0\0\0\0", "has 4 bytes"),
        (b"hello, this is a text file, not weights at all", "neither a Darknet file nor safetensors"),
        (struct.pack("<3iq", 0, 2, -1, 0) + bytes(4000), "neither a Darknet file nor safetensors"),
        (b"PK\x03\x04" + bytes(100), "is a PyTorch pickle, which can run any code: convert it to safetensors"),
        (b"\x80\x02}q\x00." + bytes(100), "is a PyTorch pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file of Keras"),
        (struct.pack("<q", 50) + b"{ broken", "not a readable safetensors file"),
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "weights"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(message)):
        fill_trunk(small(), str(path))


def test_a_real_pickle_is_refused(tmp_path: Path) -> None:
    for number, new in enumerate((True, False)):
        path = tmp_path / f"{number}.pth"
        torch.save({"weight": torch.ones(3)}, path, _use_new_zipfile_serialization=new)
        with pytest.raises(ModelError, match="PyTorch pickle"):
            fill_trunk(small(), str(path))


@pytest.mark.parametrize(("value", "place"), [(-0.5, 3), (float("nan"), 4), (float("inf"), 0)])
def test_values_that_no_darknet_has_tell_another_network(tmp_path: Path, value: float, place: int) -> None:
    path = darknet_file(tmp_path / "yolov4.weights")
    content = bytearray(path.read_bytes())
    at = 20 + 4 * 4 * place  # the first layer's biases, scales, means, variances (4 channels each), kernel
    content[at : at + 4] = struct.pack("<f", value)
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"layer 1 of 24 holds a variance below zero or .* no number"):
        fill_trunk(small(), str(path))


class TimmLayer(nn.Module):
    """timm's ConvNormAct; its activation is nn.LeakyReLU as PyTorch makes it."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(channels_out)
        self.act = nn.LeakyReLU()

    def forward(self, features_BCHW: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(features_BCHW)))


class TimmBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = TimmLayer(channels, channels // 2, 1), TimmLayer(channels // 2, channels, 3)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        return self.conv2(self.conv1(features_BCHW)) + features_BCHW


class TimmStage(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, blocks: int) -> None:
        super().__init__()
        self.conv_down = TimmLayer(channels_in, channels_out, 3, 2)
        self.blocks = nn.Sequential(*(TimmBlock(channels_out) for _ in range(blocks)))

    def forward(self, features_BCHW: Tensor) -> Tensor:
        return self.blocks(self.conv_down(features_BCHW))


class TimmDarknet(nn.Module):
    """Names and arithmetic of timm's darknet53."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential()
        self.stem.add_module("conv1", TimmLayer(3, SMALL_WIDTHS[0], 3))
        pairs = zip(SMALL_WIDTHS, SMALL_WIDTHS[1:], SMALL_BLOCKS, strict=False)
        self.stages = nn.Sequential(*(TimmStage(*sizes) for sizes in pairs))
        self.head = nn.Module()
        self.head.fc = nn.Linear(SMALL_WIDTHS[-1], 7)
        with torch.no_grad():
            for part in self.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.running_mean.normal_(std=0.3)
                    part.running_var.uniform_(0.5, 2)
                    part.weight.uniform_(0.5, 1.5)
                    part.bias.normal_(std=0.3)

    def forward(self, pixels_BCHW: Tensor) -> list[Tensor]:
        features_BCHW, scales = self.stem(pixels_BCHW), []
        for stage in self.stages:
            features_BCHW = stage(features_BCHW)
            scales.append(features_BCHW)
        return scales[-3:]


@pytest.mark.parametrize("counted", [True, False])
def test_timms_weights_run_as_timm_runs_them(tmp_path: Path, counted: bool) -> None:
    theirs = TimmDarknet().eval()
    weights = {name: value for name, value in theirs.state_dict().items() if counted or "num_batches" not in name}
    save_file(weights, tmp_path / "model.safetensors")
    trunk = small()
    fill_trunk(trunk, str(tmp_path / "model.safetensors"))
    pixels_BCHW = torch.randn(2, 3, 70, 45)
    for found, expected in zip(trunk(pixels_BCHW), theirs(pixels_BCHW), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_darknets_habits_give_way_to_timms_and_back(tmp_path: Path) -> None:
    save_file(TimmDarknet().state_dict(), tmp_path / "model.safetensors")
    trunk = small()
    fill_trunk(trunk, str(darknet_file(tmp_path / "trunk")))
    assert trunk.slope_1.item() == pytest.approx(0.1)
    assert trunk.pixel_scale_3.tolist() == pytest.approx([0.229, 0.224, 0.225])
    assert trunk.pixel_shift_3.tolist() == pytest.approx([0.485, 0.456, 0.406])
    fill_trunk(trunk, str(tmp_path))  # a folder
    assert trunk.slope_1.item() == pytest.approx(0.01)
    assert trunk.pixel_scale_3.tolist() == [1, 1, 1] and not trunk.pixel_shift_3.any()


def test_timms_names() -> None:
    assert timm_name("stem.norm.running_var") == "stem.conv1.bn.running_var"
    assert timm_name("stages.2.down.conv.weight") == "stages.2.conv_down.conv.weight"
    assert timm_name("stages.4.blocks.3.reduce.norm.bias") == "stages.4.blocks.3.conv1.bn.bias"
    assert timm_name("stages.4.blocks.3.expand.conv.weight") == "stages.4.blocks.3.conv2.conv.weight"


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    save_file({name: value.half() for name, value in TimmDarknet().state_dict().items()}, tmp_path / "m.safetensors")
    trunk = small()
    fill_trunk(trunk, str(tmp_path / "m.safetensors"))
    assert all(weight.dtype == torch.float32 for weight in trunk.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("stages.1.blocks.1.conv2.bn.running_mean"), "lacks stages.1.blocks.1.conv2.bn"),
        (lambda weights: weights.update({"stages.5.conv_down.conv.weight": torch.ones(2)}), "foreign weight stages.5"),
        (lambda weights: weights.update({"stem.conv1.bn.bias": torch.ones(9)}), "another shape of stem.conv1.bn.bias"),
    ],
)
def test_timm_files_of_another_network_are_refused(tmp_path: Path, change: object, message: str) -> None:
    weights = TimmDarknet().state_dict()
    change(weights)  # type: ignore[operator]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=rf"{re.escape(message)}.*it is not timm's darknet53"):
        fill_trunk(small(), str(tmp_path / "model.safetensors"))
