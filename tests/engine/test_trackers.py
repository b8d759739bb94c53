"""Trackers: what a training gives them, with the real libraries where they are installed, offline."""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from m3att.config import RunConfig
from m3att.data.sample import Sample
from m3att.engine.run_folder import RunFolder
from m3att.engine.snapshots import SIDE, Snapshots, draw_snapshot
from m3att.engine.trackers import Tracker, Trackers, WandB, tracking
from m3att.engine.train import train
from m3att.errors import ConfigError, StoppedError
from m3att.settings import config_from_dict


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables of whoever runs the tests, and nothing sent anywhere."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_NAME", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def tracked(run: RunConfig, *names: str, images: int = 1) -> RunConfig:
    return replace(run, train=replace(run.train, steps=4, trackers=names, tracked_images=images))


class Listed(Tracker):
    """Keeps what it is given, and fails at a step."""

    failures = (ConnectionError,)

    def __init__(self, name: str, fails_at: int = 0) -> None:
        self.name, self.fails_at, self.seen = name, fails_at, list[Any]()

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        if step == self.fails_at:
            raise ConnectionError("no server\nand more")
        self.seen.append((step, dict(figures)))

    def pictures(self, step: int, pictures: Mapping[str, Image.Image]) -> None:
        self.seen.append((step, sorted(pictures)))

    def close(self, state: str) -> None:
        self.seen.append(state)


def test_a_tracker_that_fails_is_left_out_and_the_others_go_on() -> None:
    said: list[str] = []
    good, bad = Listed("good"), Listed("bad", fails_at=2)
    trackers = Trackers([bad, good], said.append)
    for step in (1, 2, 3):
        trackers.figures(step, {"loss": 0.5})
    trackers.pictures(3, {})
    trackers.pictures(3, {"a": Image.new("RGB", (2, 2))})
    assert [entry[0] for entry in good.seen] == [1, 2, 3, 3]
    assert [entry[0] for entry in bad.seen] == [1]
    assert said == ["note: bad: no server; the run goes on without it"]
    good.failures = ()
    good.fails_at = 4
    with pytest.raises(ConnectionError):  # what its library does not raise is a bug, and is shown
        trackers.figures(4, {})


@pytest.mark.parametrize(
    ("error", "state"),
    [(None, "FINISHED"), (KeyboardInterrupt(), "KILLED"), (StoppedError("x"), "KILLED"), (ValueError(), "FAILED")],
)
def test_a_tracker_hears_how_the_run_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException | None, state: str
) -> None:
    heard = Listed("tensorboard")
    monkeypatch.setattr("m3att.engine.trackers.TensorBoard", lambda folder, step: heard)

    def work() -> None:
        with tracking(RunFolder(tmp_path), RunConfig(), 0, False, print):
            if error is not None:
                raise error

    if error is None:
        work()
    else:
        with pytest.raises(type(error)):
            work()
    assert heard.seen == [state]


def test_tensorboard_gets_figures_and_pictures(tiny_run: RunConfig, refer_folder: Path, tmp_path: Path) -> None:
    data = replace(tiny_run.data, root=str(refer_folder))
    train(replace(tracked(tiny_run, "tensorboard", images=2), data=data), tmp_path)
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert len(board.Scalars("loss/total")) == 4 and len(board.Scalars("val/mean_iou")) == 1
    pictures = board.Tags()["images"]
    assert len(pictures) == 2 and all(name.startswith("val/image-") for name in pictures)
    (shot,) = board.Images(pictures[0])
    assert shot.step == 4 and shot.width > 2 * SIDE


def test_without_trackers_nothing_is_written_for_them(tiny_run: RunConfig, refer_folder: Path, tmp_path: Path) -> None:
    data = replace(tiny_run.data, root=str(refer_folder))
    train(replace(tracked(tiny_run), data=data), tmp_path)
    assert not {"tensorboard", "wandb", "mlflow.db", "trackers.json"} & {path.name for path in tmp_path.iterdir()}


def records(path: Path) -> Iterator[bytes]:
    """The records of a file of W&B: a head of 7 bytes, then LevelDB's log format in blocks of 32 KiB."""
    data, at, held = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768  # the rest of a block, too short for the head of a record
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        held += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            yield held
            held = b""


def history(folder: Path) -> list[dict[str, Any]]:
    """What W&B has kept of a run offline."""
    from wandb.proto import wandb_internal_pb2

    found = []
    for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
        for data in records(path):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                items = record.history.item
                found.append({"/".join(one.nested_key) or one.key: json.loads(one.value_json) for one in items})
    return found


def test_wandb_keeps_a_run_offline_and_a_resumed_run_is_the_same_one(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    folder, config = RunFolder(tmp_path), tracked(RunConfig(), "wandb")
    picture = Image.new("RGB", (8, 8), "red")
    with tracking(folder, config, 0, False, print) as trackers:
        trackers.figures(1, {"loss/total": 2.0})
        trackers.pictures(1, {"val/image-3": picture})
        first = trackers.active[0]
    with tracking(folder, config, 1, True, print) as trackers:
        trackers.figures(2, {"loss/total": 1.5})
        again = trackers.active[0]
    assert isinstance(first, WandB) and isinstance(again, WandB) and first.id == again.id
    assert json.loads(folder.tracker_ids.read_text()) == {"wandb": first.id}
    entries: list[dict[str, Any]] = []
    until = time.monotonic() + 60  # W&B's own process writes the file, and may be a moment behind
    while sum("loss/total" in entry for entry in entries) < 2 and time.monotonic() < until:
        time.sleep(0.05)
        entries = history(tmp_path)
    assert [(entry["_step"], entry["loss/total"]) for entry in entries if "loss/total" in entry] == [(1, 2.0), (2, 1.5)]
    assert [entry["val/image-3/_type"] for entry in entries if "val/image-3/_type" in entry] == ["image-file"]
    assert len(list(tmp_path.glob("wandb/offline-run-*/files/media/images/val/*.png"))) == 1


def test_mlflow_keeps_figures_settings_and_pictures_in_a_data_base(tmp_path: Path) -> None:
    tracking_library = pytest.importorskip("mlflow.tracking")
    pytest.importorskip("sqlalchemy")
    folder, config = RunFolder(tmp_path), tracked(RunConfig(), "mlflow")
    for resume, step in ((False, 1), (True, 2)):
        with tracking(folder, config, step - 1, resume, print) as trackers:
            trackers.figures(step, {"loss/total": 2.0 / step, "val/precision_0.5": 0.25})
            trackers.pictures(step, {"val/image-3": Image.new("RGB", (8, 8), "red")})
    client = tracking_library.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("m3att").experiment_id])
    assert run.info.status == "FINISHED" and run.info.run_name == tmp_path.name
    assert run.data.params["train.trackers"] == "['mlflow']" and run.data.params["input.size"] == "416"
    values = [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, "loss/total")]
    assert values == [(1, 2.0), (2, 1.0)]
    found = sorted(path.name for path in tmp_path.glob("mlflow/*/artifacts/val/image-3/*.png"))
    assert found == ["step-00000001.png", "step-00000002.png"]


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_library_is_named_before_anything_is_written(
    tiny_run: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError) as caught:
        train(tracked(tiny_run, name), tmp_path / "run")
    assert str(caught.value) == f"train.trackers {name} needs {name}: pip install 'm3att[{name}]'"
    assert not (tmp_path / "run").exists()


def test_a_library_that_does_not_start_is_the_user_s_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> Any:
        raise RuntimeError("api_key not configured\nlog in")

    monkeypatch.setattr("m3att.engine.trackers.WandB", refuse)
    with (
        pytest.raises(
            ConfigError, match=r"wandb does not start \(api_key not configured\); mend that, or leave it out"
        ),
        tracking(RunFolder(tmp_path), tracked(RunConfig(), "wandb"), 0, False, print),
    ):
        pass


@pytest.mark.parametrize("names", [["tensorbord"], ["wandb", "wandb"]])
def test_unknown_and_repeated_trackers_are_refused(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="give some of tensorboard, wandb, mlflow, each once"):
        config_from_dict({"train": {"trackers": names}})


def sample(expressions: int) -> Sample:
    image_HWC = np.full((40, 80, 3), 90, np.uint8)
    left_HW = np.zeros((40, 80), bool)
    left_HW[10:30, 5:35] = True
    texts = tuple(f"the left thing {number}" for number in range(expressions))
    numbers = (0,) * expressions
    return Sample(image_HWC, (left_HW,), numbers, texts, tuple(range(expressions)), 7, ((),) * expressions)


def test_a_snapshot_shows_image_truth_and_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[tuple[str, str]] = []

    def noted(picture: Image.Image, caption: str, note: str) -> Image.Image:
        notes.append((caption, note))
        return picture

    monkeypatch.setattr("m3att.engine.snapshots.add_caption", noted)
    one = sample(1)
    predicted_HW = one.masks_MHW[0] & (np.arange(80) < 20)  # half of it
    picture = np.asarray(draw_snapshot(one, predicted_HW[None]))
    assert notes == [("the left thing 0", "image, truth, prediction; IoU 0.50")]
    assert picture.shape[0] == SIDE // 2 and picture.shape[1] > 3 * SIDE
    panels = [picture[:, at : at + SIDE] for at in (0, SIDE + 6, 2 * (SIDE + 6))]
    assert (panels[0] == 90).all()
    scale = SIDE / 80
    inside = slice(round(18 * scale), round(22 * scale)), slice(round(24 * scale), round(30 * scale))
    assert (panels[1][inside] != 90).any() and (panels[1][inside] != panels[2][inside]).any()


@pytest.mark.parametrize(("count", "kept"), [(0, 0), (2, 2), (9, 3)])
def test_as_many_images_are_drawn_as_asked_for(count: int, kept: int) -> None:
    shots = Snapshots(count)
    for number in range(3):
        one = replace(sample(4), image_id=number)
        shots.watch(number, one, range(4), np.zeros((4, 40, 80), bool))
    assert list(shots.pictures) == [f"val/image-{number}" for number in range(kept)]
