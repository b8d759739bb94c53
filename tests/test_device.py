"""The peak of a process is its own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from m3att.device import peak_resident

MIB = 2**20
CHILD = [sys.executable, "-c", "from m3att.device import peak_resident; print(peak_resident())"]


def test_a_peak_holds_what_was_let_go_and_a_child_does_not_inherit_it() -> None:
    if (before := peak_resident()) is None:  # Windows counts none
        return
    large = np.ones(before + 400 * MIB, dtype=np.uint8)
    peak = peak_resident()
    child = int(subprocess.run(CHILD, capture_output=True, text=True, check=True, timeout=120).stdout)
    assert peak is not None and peak > before + 300 * MIB  # the kernel counts in batches, a little behind
    del large
    assert (peak_resident() or 0) > before + 300 * MIB
    assert MIB < child < 300 * MIB
