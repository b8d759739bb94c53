"""The search for settings: spaces, trials, pruning, and going on after a kill, with the real Optuna."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from m3att.config import RunConfig
from m3att.engine.position import Position
from m3att.engine.run_folder import RunFolder
from m3att.engine.search import Search, Space, parse_space, trial_config, typed
from m3att.engine.stopping import Stopping
from m3att.errors import ConfigError, DivergedError, ModelError

pytest.importorskip("optuna")
RATES = Space("train.learning_rate", 1e-4, 1e-2, log=True)
CHOICES = Space("train.optimizer", choices=("adamw", "muon"))


@pytest.fixture
def base(tiny_run: RunConfig, refer_folder: Path) -> RunConfig:
    """Two steps on a folder of six images, with two validations."""
    train = replace(tiny_run.train, steps=2, batch_size=4, validate_every=1, validate_images=1, save_every=1)
    data = replace(tiny_run.data, root=str(refer_folder), per_image=2)
    return replace(tiny_run, train=replace(train, trackers=()), data=data)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[RunConfig, Path, bool]]:
    """What was to be trained; nothing is, and the validations are as good as the learning rate is high."""
    calls: list[tuple[RunConfig, Path, bool]] = []

    def train(config: RunConfig, out: Path, resume: bool, report: Callable[..., None], stop: Stopping) -> None:
        calls.append((config, out, resume))
        for step in (1, 2, 3):
            report(step, 3, {"agreement": config.train.learning_rate * step})

    monkeypatch.setattr("m3att.engine.train.train", train)
    return calls


def search(out: Path, base: RunConfig, *spaces: Space, pruner: str = "none") -> Search:
    out.mkdir(parents=True, exist_ok=True)
    return Search(out, base, spaces, pruner)


@pytest.mark.parametrize(
    ("text", "space"),
    [
        ("train.learning_rate=log:1e-4:1e-2", RATES),
        ("train.optimizer=adamw, muon", CHOICES),
        ("train.batch_size=8:32", Space("train.batch_size", 8, 32, whole=True)),
        ("train.warmup=log:1:100", Space("train.warmup", 1, 100, log=True, whole=True)),
        ("train.dice_weight=0:1.5", Space("train.dice_weight", 0, 1.5)),
        ("train.learning_rate=1e-4,1e-3", Space("train.learning_rate", choices=("1e-4", "1e-3"))),
        ("train.flip=x", None),
    ],
)
def test_spaces_are_read(text: str, space: Space | None) -> None:
    if space is None:
        with pytest.raises(ConfigError, match=r"unknown setting train\.flip"):
            parse_space(text)
    else:
        assert parse_space(text) == space


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train.learning_rate", "give KEY=LOW:HIGH"),
        ("train.learning_rate=", "give KEY=LOW:HIGH"),
        ("train.learning_rte=1:2", "did you mean train.learning_rate"),
        ("train.learning_rate=log:0:1", "the first end must be smaller, and more than 0"),
        ("train.learning_rate=2:1", "the first end must be smaller"),
        ("train.batch_size=1.5:3", "the ends must be whole numbers"),
        ("train.batch_size=0:3", "train.batch_size: 0 is out of range"),
        ("train.optimizer=1:2", "is no number; give its values with commas"),
        ("train.optimizer=adam,sgd", "'sgd' does not fit"),
        ("model.vision.widths=8:16", "is no number"),
    ],
)
def test_spaces_that_make_no_sense_are_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_space(text)


def test_values_have_the_types_of_their_settings(base: RunConfig) -> None:
    found = trial_config(base, {"train.learning_rate": "1e-4", "train.optimizer": "muon", "train.clip": "0.5"})
    assert (found.train.learning_rate, found.train.optimizer, found.train.clip) == (1e-4, "muon", 0.5)
    assert found.data == base.data and typed({"train.steps": "7"}) == {"train": {"steps": 7}}


def test_trials_are_trained_and_the_best_is_found(base: RunConfig, tmp_path: Path) -> None:
    """The one test that trains."""
    said: list[str] = []
    found = search(tmp_path, base, RATES, CHOICES)
    found.run(2, Stopping(), said.append)
    assert len(found.done()) == 2 and len(said) == 4 and said[1].startswith("trial-0000: mean IoU ")
    rows, best = found.rows(), found.best()
    assert best is not None and rows[0]["mean_iou"] == max(row["mean_iou"] for row in rows) == best[0].value
    own = RunFolder(tmp_path / rows[0]["folder"])
    assert best[1] == own.read_config()
    assert best[1].train.learning_rate == rows[0]["settings"]["train.learning_rate"]
    assert rows[0]["mean_iou"] == max(line["agreement"] for line in own.read_metrics())
    assert list(rows[0]["validations"]) == ["1", "2"]


def test_a_search_goes_on_where_it_was_and_repeats_nothing(base: RunConfig, tmp_path: Path, trained: list[Any]) -> None:
    search(tmp_path, base, RATES).run(2, Stopping(), print)
    again = search(tmp_path, base, RATES)
    again.run(3, Stopping(), print)
    again.run(3, Stopping(), print)
    assert [out.name for _, out, _ in trained] == ["trial-0000", "trial-0001", "trial-0002"]
    rates = {config.train.learning_rate for config, _, _ in trained}
    assert len(rates) == 3 and all(1e-4 <= rate <= 1e-2 for rate in rates)


def test_an_interrupted_trial_is_taken_up_with_its_values_and_its_folder(
    base: RunConfig, tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = search(tmp_path, base, RATES)
    real = found.train

    def killed(*words: Any) -> Any:
        real(*words)
        raise KeyboardInterrupt

    found.run(1, Stopping(), print)
    monkeypatch.setattr(found, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        found.run(3, Stopping(), print)
    monkeypatch.setattr(RunFolder, "can_resume", property(lambda folder: folder.path.name == "trial-0001"))
    lines = ['{"step": 1, "agreement": 0.9}', '{"step": 2, "agr', '{"step": "2", "agreement": 1}', '{"step": 2}', "{"]
    (tmp_path / "trial-0001").mkdir()
    (tmp_path / "trial-0001" / "metrics.jsonl").write_text("\n".join(lines), encoding="utf-8")
    again = search(tmp_path, base, RATES)
    again.run(2, Stopping(), print)
    (_, _, fresh), (first, folder, resumed), (second, same, goes_on) = trained
    assert (fresh, resumed, goes_on) == (False, False, True)
    assert first == second and folder == same == tmp_path / "trial-0001"
    assert [trial.user_attrs["folder"] for trial in again.done()] == ["trial-0000", "trial-0001"]
    assert again.done()[1].value == 0.9  # what was reached before the interruption counts


@pytest.mark.parametrize("moment", ["ask", "folder", "first value", "second value", "trained", "enqueue"])
@pytest.mark.parametrize("taken_up", [False, True])
def test_a_kill_at_any_moment_loses_no_work_and_counts_no_trial_twice(
    base: RunConfig,
    tmp_path: Path,
    trained: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    taken_up: bool,
) -> None:
    """What begun work there is goes on with its values in its folder, after two kills in a row too."""

    class KilledError(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> Any:
        raise KilledError

    def after(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*words: Any, **options: Any) -> Any:
            real(*words, **options)
            raise KilledError

        return call

    if taken_up:  # the trial has begun to train, and a first kill has left it
        found = search(tmp_path, base, RATES, CHOICES)
        monkeypatch.setattr(found, "train", after(found.train))
        with pytest.raises(KilledError):
            found.run(1, Stopping(), print)
    found = search(tmp_path, base, RATES, CHOICES)
    with monkeypatch.context() as patch:
        kind = found.optuna.trial.Trial
        if moment == "ask":
            patch.setattr(found.study, "ask", after(found.study.ask))
        elif moment == "folder":
            patch.setattr(kind, "set_user_attr", after(kind.set_user_attr))
        elif moment == "first value":
            patch.setattr(kind, "suggest_float", after(kind.suggest_float))
        elif moment == "second value":
            patch.setattr(kind, "suggest_categorical", after(kind.suggest_categorical))
        elif moment == "trained":
            patch.setattr(found, "train", after(found.train))
        elif taken_up:
            patch.setattr(found.study, "enqueue_trial", after(found.study.enqueue_trial))
        else:
            patch.setattr(found, "train", kill)
        with pytest.raises(KilledError):
            found.run(1, Stopping(), print)
    begun = [(config.train.learning_rate, config.train.optimizer, out) for config, out, _ in trained]
    again = search(tmp_path, base, RATES, CHOICES)
    again.run(2, Stopping(), print)
    assert len(again.done()) == len(again.rows()) == 2
    folders = [row["folder"] for row in again.rows()]
    assert len(set(folders)) == 2
    runs = {out.name: (config.train.learning_rate, config.train.optimizer, out) for config, out, _ in trained}
    assert set(folders) == set(runs)  # nothing that was trained is missing among the trials
    for rate, optimizer, out in begun:
        assert runs[out.name] == (rate, optimizer, out)


def test_a_trial_whose_failure_was_half_written_counts_once(
    base: RunConfig, tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverges(*_: Any, **__: Any) -> None:
        raise DivergedError("the loss is nan")

    def kill(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    found = search(tmp_path, base, RATES)
    with monkeypatch.context() as patch:
        patch.setattr("m3att.engine.train.train", diverges)
        patch.setattr(found.study, "tell", kill)
        with pytest.raises(KeyboardInterrupt):
            found.run(1, Stopping(), print)
    again = search(tmp_path, base, RATES)
    again.run(2, Stopping(), print)
    assert [row["state"] for row in again.rows()] == ["complete", "fail"] and len(trained) == 1


def test_a_score_that_only_the_checkpoint_knows_counts(
    base: RunConfig, tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut may take the last lines of the metrics, and leave the checkpoint."""
    monkeypatch.setattr("m3att.engine.train.train", lambda *_, **__: None)
    monkeypatch.setattr("m3att.engine.search.position_of", lambda _: Position(step=2, best_mean_iou=0.7))
    found = search(tmp_path, base, RATES)
    found.run(1, Stopping(), print)
    assert found.done()[0].value == 0.7


def test_a_run_that_cannot_go_on_ends_the_search_and_is_no_failed_trial(
    base: RunConfig, tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise ConfigError("the data have changed")

    found = search(tmp_path, base, RATES)
    found.run(1, Stopping(), print)
    monkeypatch.setattr("m3att.engine.train.train", refuses)
    monkeypatch.setattr(RunFolder, "can_resume", property(lambda _: True))
    with pytest.raises(ConfigError, match="the data have changed"):
        found.run(2, Stopping(), print)
    assert len(found.done()) == 1


def test_a_bad_trial_is_ended_early(base: RunConfig, tmp_path: Path, trained: list[Any]) -> None:
    found = search(tmp_path, base, RATES, pruner="median")
    for rate in (0.009, 0.008, 0.007, 0.006, 0.0001):
        found.study.enqueue_trial({"train.learning_rate": rate})
    said: list[str] = []
    found.run(5, Stopping(), said.append)
    assert [trial.state.name for trial in found.done()] == ["COMPLETE"] * 4 + ["PRUNED"]
    assert said[-1] == "trial-0004: ended early at step 1, with mean IoU 0.0"
    assert found.rows()[-1]["state"] == "pruned" and len(trained) == 5


def test_a_trial_that_diverges_has_failed_and_the_next_one_is_tried(
    base: RunConfig, tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverges(*_: Any, **__: Any) -> None:
        raise DivergedError("the loss is nan")

    found = search(tmp_path, base, RATES)
    with monkeypatch.context() as patch:
        patch.setattr("m3att.engine.train.train", diverges)
        found.run(1, Stopping(), print)
    assert found.best() is None and found.rows()[0]["reason"] == "the loss is nan"
    found.run(2, Stopping(), print)
    assert found.best() is not None and len(trained) == 1


def test_settings_that_do_not_fit_end_a_search_only_if_nothing_was_trained(
    base: RunConfig, tmp_path: Path, trained: list[Any]
) -> None:
    found = search(tmp_path, base, Space("model.decoder.heads", choices=("3",)))
    with pytest.raises(ConfigError, match=r"model\.channels: 16 is no multiple of model\.decoder\.heads 3"):
        found.run(1, Stopping(), print)
    assert found.done() == [] and trained == []


def test_a_trial_whose_network_does_not_fit_its_model_has_failed_and_a_full_disk_ends_the_search(
    base: RunConfig, tmp_path: Path, trained: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(config: RunConfig, out: Path, *_: Any, **__: Any) -> None:
        if begun:
            out.mkdir(exist_ok=True)
            RunFolder(out).config.touch()
        raise ModelError("no room" if begun else "its network is another one")

    found, begun = search(tmp_path, base, RATES), False
    found.run(1, Stopping(), print)
    monkeypatch.setattr("m3att.engine.train.train", refuses)
    found.run(2, Stopping(), print)
    assert [row["reason"] for row in found.rows()] == [None, "its network is another one"]
    begun = True
    with pytest.raises(ModelError, match="no room"):
        found.run(3, Stopping(), print)
    assert len(found.done()) == 2
