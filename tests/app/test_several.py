"""`m3att train` in two processes, as `torchrun` starts them and by `torchrun` itself, and what a signal does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from torch.distributed import TCPStore

from m3att.app import cli
from m3att.engine.position import position_of
from m3att.engine.run_folder import RunFolder
from m3att.errors import StoppedError

PROCESSES = 2


@contextmanager
def started(folder: Path, *words: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes of one command, which meet at a store that outlives them, as under torchrun.

    Args:
        folder: gets what process N prints as `N.log`.
        words: of the command.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {"WORLD_SIZE": str(PROCESSES), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port)}
    shared |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1"}
    processes = []
    for rank in map(str, range(PROCESSES)):
        with (folder / f"{rank}.log").open("wb") as log:
            own = {**os.environ, **shared, "RANK": rank, "LOCAL_RANK": rank}
            command = [sys.executable, "-m", "m3att", *words]
            processes.append(subprocess.Popen(command, env=own, stdout=log, stderr=subprocess.STDOUT))
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()


def endless(config: Path, out: Path) -> list[str]:
    """The words of a training that only a signal ends. It validates at every fourth step."""
    settings = {"steps": 100000, "save_every": 100000, "batch_size": 1, "validate_images": 1, "trackers": "[]"}
    options = [word for key, value in settings.items() for word in (f"--train.{key}", str(value))]
    return ["train", "--config", str(config), "--out", str(out), *options]


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("signals", "code", "words"),
    [([signal.SIGTERM], 75, "stopped by SIGTERM"), ([signal.SIGINT, signal.SIGINT], 130, "interrupted")],
)
def test_a_signal_ends_each_process_with_its_code_and_one_names_the_checkpoint(
    small_config: Path, tmp_path: Path, signals: list[signal.Signals], code: int, words: str
) -> None:
    """Batches and validation have fewer expressions and images than there are processes.

    A Ctrl-C comes twice: from the terminal, and from torchrun, which passes it on.
    """
    out = tmp_path / "run"
    with started(tmp_path, *endless(small_config, out)) as processes:
        for _ in range(2400):
            if (out / "metrics.jsonl").exists() or any(process.poll() is not None for process in processes):
                break
            time.sleep(0.05)
        for process in processes:
            for number in signals:
                process.send_signal(number)
                time.sleep(0.05)
        codes = [process.wait(timeout=60) for process in processes]
    logs = [(tmp_path / f"{rank}.log").read_text("utf-8") for rank in range(PROCESSES)]
    assert codes == [code] * PROCESSES, logs
    assert not any("Traceback" in log for log in logs), logs
    advice = f"m3att: {words}; go on with: m3att train --out {out} --resume\n"
    assert sum(log.count(advice) for log in logs) == 1, logs
    assert RunFolder(out).can_resume


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_the_terminal_of_torchrun_ends_the_step_with_a_checkpoint_and_one_line(
    small_config: Path, tmp_path: Path
) -> None:
    """A terminal sends SIGINT to the whole group: to torchrun and to the processes that it started."""
    out, log = tmp_path / "run", tmp_path / "log"
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(PROCESSES)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*launcher, "-m", "m3att", *endless(small_config, out)],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        for _ in range(2400):
            if (out / "metrics.jsonl").exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(timeout=60)
    finally:
        with suppress(ProcessLookupError):  # nobody of the group is left, as it should be
            os.killpg(process.pid, signal.SIGKILL)
    text = log.read_text("utf-8")
    said = [line for line in text.splitlines() if line.startswith("m3att: ")]
    assert said == [
        "m3att: stopping at the end of this step, with a checkpoint; press Ctrl-C again to stop at once",
        f"m3att: interrupted; go on with: m3att train --out {out} --resume",
    ], text
    assert code == 1 and text.count("Traceback") == 1, text  # the report of torchrun
    position = position_of(RunFolder(out).checkpoint)
    assert position is not None and position.step == RunFolder(out).last_metrics()["step"]


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [(KeyboardInterrupt(), 130, "\nm3att: interrupted\n"), (StoppedError("stopped"), 75, "m3att: stopped\n")],
)
def test_of_several_processes_that_a_signal_ends_before_they_meet_one_says_it(
    ending: BaseException,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def run(_: Sequence[str], prog: str) -> int:
        raise ending

    monkeypatch.setitem(cli.COMMANDS, "models", cli.Command(run, ""))
    for world, rank, said in (("2", "0", words), ("2", "1", ""), ("", "", words), ("two", "0", words)):
        monkeypatch.setenv("WORLD_SIZE", world)
        monkeypatch.setenv("RANK", rank)
        assert cli.main(["models"]) == code
        assert capsys.readouterr().err == said
