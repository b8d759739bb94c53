"""What the environment of a launcher tells, and that of several processes one speaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from m3att import launched
from m3att.app.cli import main
from m3att.errors import ConfigError
from m3att.launched import process_count, process_rank, require_one_process


@pytest.mark.parametrize(("value", "refused"), [("1", False), ("", False), ("0", False), ("2", True), (" 16 ", True)])
def test_one_of_several_processes_of_a_launcher_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str, refused: bool
) -> None:
    monkeypatch.setenv("WORLD_SIZE", value)
    monkeypatch.setenv("RANK", "1")
    assert process_rank() == int(refused)
    if refused:
        with pytest.raises(ConfigError, match=rf"the launcher started {value.strip()} \(WORLD_SIZE\)"):
            require_one_process()
    else:
        require_one_process()


def test_a_count_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "two")
    with pytest.raises(ConfigError, match="WORLD_SIZE is 'two'"):
        process_count()


@pytest.mark.parametrize("command", ["train", "finetune", "evaluate"])
def test_of_several_processes_one_says_the_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert main([command, "--no-such-option", "3"]) == 2
        said.append("".join(capsys.readouterr()))
    assert said[0].startswith("m3att: error: unknown option --no-such-option") and said[1] == ""


def test_once_they_have_met_the_first_that_ends_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, claims, speaks in (("0", False, False), ("1", True, True)):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setattr(launched, "_claim", lambda claims=claims: claims)
        assert main(["train", "--preset", "none-such", "--out", "somewhere"]) == 2
        assert bool("".join(capsys.readouterr())) == speaks


@pytest.mark.parametrize("option", ["--dry-run", "--overfit-one-batch", "--find-rate"])
def test_a_rehearsal_takes_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    out = ["--out", "somewhere"] if option == "--find-rate" else []
    assert main(["train", "--preset", "shaperef-tiny-hour", option, *out]) == 2
    assert "this command is for one process, and the launcher started 2" in capsys.readouterr().err


def test_a_dry_run_of_fine_tuning_takes_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "own.jsonl").write_text('{"image": "1.jpg", "expression": "the cup", "bbox": [1, 1, 2, 2]}\n')
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["finetune", str(tmp_path / "own.jsonl"), "--from", "shaperef-tiny", "--dry-run"]) == 2
    assert "this command is for one process, and the launcher started 2" in capsys.readouterr().err
