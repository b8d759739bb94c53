"""Checkpoints: what is saved is what is loaded, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from m3att.config import RunConfig
from m3att.engine.checkpoint import Position, load_checkpoint, read_header, save_checkpoint
from m3att.engine.optim import build_optimizer
from m3att.engine.run_folder import RunFolder
from m3att.errors import ModelError
from m3att.model.build import build_network
from m3att.model.network import M3AttNet

Trained = tuple[M3AttNet, torch.optim.Optimizer]
POSITION = Position(step=7, epoch=1, batch=2, seconds=3.25, expressions=56, best_mean_iou=0.1 + 0.2)


def fresh(config: RunConfig, seed: int) -> Trained:
    """A network as train() has it, with its optimiser."""
    torch.manual_seed(seed)
    network = build_network(config.model, config.input.size, words=20)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network, build_optimizer(network, config.train)


def step(network: M3AttNet, optimizer: torch.optim.Optimizer) -> Tensor:
    """One step on a batch that the state of chance decides."""
    pixels_BCHW = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    word_ids_NL = torch.randint(2, 20, (4, 5))
    output = network(pixels_BCHW, torch.tensor([0, 1, 1, 0]), word_ids_NL, torch.ones(4, 5, dtype=torch.bool), True)
    assert output.reconstructed_NC is not None
    loss: Tensor = output.mask_logits_NHW.square().mean() + output.reconstructed_NC.square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


@pytest.fixture
def trained(tiny_run: RunConfig) -> Trained:
    network, optimizer = fresh(tiny_run, 1)
    for _ in range(3):
        step(network, optimizer)
    return network, optimizer


def tensors_of(trained: Trained) -> dict[str, Any]:
    network, optimizer = trained
    state = optimizer.state_dict()["state"]
    flat = {f"{number}.{name}": value for number, entry in state.items() for name, value in entry.items()}
    return {**network.state_dict(), **flat}


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]) and value.dtype == other[name].dtype, name


def test_what_is_saved_is_what_is_loaded(trained: Trained, tiny_run: RunConfig, tmp_path: Path) -> None:
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    before, chance = tensors_of(trained), torch.get_rng_state()
    again = fresh(tiny_run, 2)
    assert load_checkpoint(RunFolder(tmp_path), *again) == POSITION
    assert torch.equal(torch.get_rng_state(), chance)
    assert_equal(tensors_of(again), before)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def test_training_goes_on_bit_for_bit(trained: Trained, tiny_run: RunConfig, tmp_path: Path) -> None:
    """Dropout is on, and kernels lie in memory with channels last, so that another layout of the moments would show."""
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    losses = [float(step(*trained)) for _ in range(4)]
    again = fresh(tiny_run, 2)
    load_checkpoint(RunFolder(tmp_path), *again)
    assert [float(step(*again)) for _ in range(4)] == losses
    assert_equal(tensors_of(again), tensors_of(trained))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_dropout_on_a_gpu_goes_on_with_its_own_generator(trained: Trained, tmp_path: Path) -> None:
    network, optimizer = trained
    network.cuda()
    save_checkpoint(RunFolder(tmp_path), network, optimizer, POSITION)
    drawn = torch.rand(9, device="cuda")
    load_checkpoint(RunFolder(tmp_path), network, optimizer)
    assert torch.equal(torch.rand(9, device="cuda"), drawn)


def test_saving_changes_nothing(trained: Trained, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in tensors_of(trained).items()}
    chance = torch.get_rng_state()
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    assert torch.equal(torch.get_rng_state(), chance)
    assert_equal(tensors_of(trained), before)


def test_a_checkpoint_of_the_very_start_is_one_too(tiny_run: RunConfig, tmp_path: Path) -> None:
    network, optimizer = fresh(tiny_run, 1)
    save_checkpoint(RunFolder(tmp_path), network, optimizer, Position())
    again = fresh(tiny_run, 2)
    assert load_checkpoint(RunFolder(tmp_path), *again) == Position()
    assert not again[1].state_dict()["state"]


@pytest.mark.parametrize("where", ["in the middle", "before the replacement"])
def test_an_interruption_leaves_the_elder(
    trained: Trained, tiny_run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    elder = (tmp_path / "checkpoint.safetensors").read_bytes()
    step(*trained)

    def half(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
        save_file(tensors, path, metadata)
        os.truncate(path, path.stat().st_size // 2)
        raise OSError(28, "No space left on device")

    def never(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "in the middle":
            patch.setattr("safetensors.torch.save_file", half)
        else:
            patch.setattr("m3att.files.os.replace", never)
        with pytest.raises((ModelError, KeyboardInterrupt)):
            save_checkpoint(RunFolder(tmp_path), *trained, replace(POSITION, step=8))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == elder
    assert load_checkpoint(RunFolder(tmp_path), *fresh(tiny_run, 2)) == POSITION
    # What was left lying does not stand in the way of the next one.
    save_checkpoint(RunFolder(tmp_path), *trained, replace(POSITION, step=8))
    assert load_checkpoint(RunFolder(tmp_path), *fresh(tiny_run, 2)).step == 8
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.safetensors"]


def refused(folder: Path, trained: Trained, words: str) -> None:
    with pytest.raises(ModelError, match=words) as refusal:
        load_checkpoint(RunFolder(folder), *trained)
    assert str(folder / "checkpoint.safetensors") in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_missing_checkpoint_is_named(trained: Trained, tmp_path: Path) -> None:
    refused(tmp_path, trained, "no checkpoint to resume from; start without --resume")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"not it", "damaged"),
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "not a checkpoint of this run"),
    ],
)
def test_a_foreign_file_is_named(trained: Trained, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    refused(tmp_path, trained, words)


def test_a_checkpoint_that_is_cut_short_is_named(trained: Trained, tmp_path: Path) -> None:
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    os.truncate(tmp_path / "checkpoint.safetensors", 5000)
    refused(tmp_path, trained, "damaged .*no earlier checkpoint is whole: start the run anew")


def flip_a_bit(path: Path, at: int) -> None:
    """Damage a file as a failing disk does."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.4, 0.7, 1.0])
def test_a_checkpoint_with_a_flipped_bit_is_named(trained: Trained, tmp_path: Path, share: float) -> None:
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    path = tmp_path / "checkpoint.safetensors"
    flip_a_bit(path, int(share * (path.stat().st_size - 1)))
    refused(tmp_path, trained, r"damaged \(its content does not fit its checksum\)")


def test_the_checkpoint_before_a_damaged_one_is_used(trained: Trained, tiny_run: RunConfig, tmp_path: Path) -> None:
    folder, states, notes = RunFolder(tmp_path), {}, []
    for number in (10, 20, 30):
        step(*trained)
        states[number] = {name: value.clone() for name, value in tensors_of(trained).items()}
        save_checkpoint(folder, *trained, replace(POSITION, step=number), keep_last=3)
    flip_a_bit(folder.checkpoint, -9)
    os.truncate(folder.kept_checkpoint(20), 9)
    again = fresh(tiny_run, 2)
    assert load_checkpoint(folder, *again, notes.append).step == 10
    assert_equal(tensors_of(again), states[10])
    assert [note.partition(": damaged")[0] for note in notes] == [
        f"note: {folder.checkpoint}",
        f"note: {folder.kept_checkpoint(20)}",
    ]
    assert all(note.endswith("the run goes on from the checkpoint of step 10") for note in notes)
    # The next checkpoint takes the place of the damaged one, and the one that was whole stays beside it.
    save_checkpoint(folder, *again, replace(POSITION, step=20), keep_last=2)
    assert load_checkpoint(folder, *fresh(tiny_run, 2)).step == 20
    assert list(folder.kept_checkpoints) == [10]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize(
    ("last", "every", "kept"), [(1, 0, []), (2, 0, [5]), (4, 0, [5, 4, 3]), (1, 2, [4, 2]), (3, 3, [5, 4, 3])]
)
def test_checkpoints_are_kept_as_asked(
    trained: Trained, tiny_run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    links: bool, last: int, every: int, kept: list[int],
) -> None:  # fmt: skip
    folder = RunFolder(tmp_path)
    if not links:

        def refuse(*_: object) -> None:
            raise PermissionError(1, "no links on this file system")

        monkeypatch.setattr("m3att.engine.checkpoint.os.link", refuse)
    for number in range(1, 7):
        save_checkpoint(folder, *trained, replace(POSITION, step=number), last, every)
    assert list(folder.kept_checkpoints) == kept
    for number in kept:
        assert read_header(folder.kept_checkpoint(number))[0].step == number
    assert load_checkpoint(folder, *fresh(tiny_run, 2)).step == 6
    assert not list(tmp_path.rglob("*.part"))


def with_metadata(path: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Write a safetensors file again with another header."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    save_file({name: value.clone() for name, value in load_file(path).items()}, path, change(metadata))


def test_a_checkpoint_of_the_first_format_is_read(trained: Trained, tiny_run: RunConfig, tmp_path: Path) -> None:
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    with_metadata(RunFolder(tmp_path).checkpoint, lambda metadata: {"position": metadata["position"]})
    again = fresh(tiny_run, 2)
    assert load_checkpoint(RunFolder(tmp_path), *again) == POSITION
    assert_equal(tensors_of(again), tensors_of(trained))


def test_a_checkpoint_of_a_newer_version_is_refused_though_an_earlier_one_is_kept(
    trained: Trained, tmp_path: Path
) -> None:
    for number in (1, 2):
        save_checkpoint(RunFolder(tmp_path), *trained, replace(POSITION, step=number), keep_last=2)
    with_metadata(RunFolder(tmp_path).checkpoint, lambda metadata: {**metadata, "format": "4"})
    refused(tmp_path, trained, r"a newer m3att wrote it \(format '4'; this one reads up to 3\): update m3att")


def test_a_changed_position_does_not_fit_the_checksum(trained: Trained, tmp_path: Path) -> None:
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    with_metadata(
        RunFolder(tmp_path).checkpoint,
        lambda metadata: {**metadata, "position": metadata["position"].replace('"step": 7', '"step": 8')},
    )
    refused(tmp_path, trained, "does not fit its checksum")


def test_a_checkpoint_of_another_network_is_named(trained: Trained, tiny_run: RunConfig, tmp_path: Path) -> None:
    save_checkpoint(RunFolder(tmp_path), *trained, POSITION)
    wider = replace(tiny_run, model=replace(tiny_run.model, channels=32))
    refused(tmp_path, fresh(wider, 1), "not a checkpoint of this run")
    deeper = replace(tiny_run, model=replace(tiny_run.model, decoder=replace(tiny_run.model.decoder, layers=3)))
    refused(tmp_path, fresh(deeper, 1), "not a checkpoint of this run")


def test_weights_alone_are_no_checkpoint(trained: Trained, tmp_path: Path) -> None:
    save_file(
        {name: value.contiguous() for name, value in trained[0].state_dict().items()},
        tmp_path / "checkpoint.safetensors",
    )
    refused(tmp_path, trained, "not a checkpoint of this run")
