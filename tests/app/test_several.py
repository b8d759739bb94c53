"""`m3att train` in two processes, as `torchrun` starts them, and what a signal to both does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from torch.distributed import TCPStore

from m3att.engine.run_folder import RunFolder

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
    settings = {"steps": 100000, "save_every": 100000, "batch_size": 1, "validate_images": 1, "trackers": "[]"}
    options = [word for key, value in settings.items() for word in (f"--train.{key}", str(value))]
    with started(tmp_path, "train", "--config", str(small_config), "--out", str(out), *options) as processes:
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
