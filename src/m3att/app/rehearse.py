"""`m3att train --overfit-one-batch` and `m3att train --find-rate`: what is tried out before a run is started.

PyTorch is imported inside the functions, so that help and errors appear at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from m3att.app.console import probe_file, progress_bar, show, write_json
from m3att.config import RunConfig
from m3att.errors import counted

OVERFIT_STEPS, RATE_STEPS = 200, 100
ROWS = 12


def run_overfit(config: RunConfig, steps: int | None, json_path: Path | None) -> int:
    """Learn one batch by heart, and say whether the loss falls to nearly its least; exit code 1 where it does not.

    Args:
        config: of the run.
        steps: at most; None: OVERFIT_STEPS.
        json_path: also gets the findings.
    """
    from m3att.engine.rehearsal import overfit_one_batch
    from m3att.report.tables import plain_table

    with progress_bar("one batch") as advance:
        found = overfit_one_batch(config, steps or OVERFIT_STEPS, advance)
    if json_path is not None:
        write_json(json_path, found.to_dict())
    parts = [
        name for name in ("total", "mask", "box", "dice", "reconstruction") if any(one[name] for one in found.losses)
    ]
    table = [
        [f"{at + 1:,}", *(f"{found.losses[at][name]:.4f}" for name in parts)] for at in spread(len(found.losses), ROWS)
    ]
    show(plain_table(["step", *(f"loss/{name}" if name != "total" else "loss" for name in parts)], table))
    print("\n".join(overfit_lines(found.to_dict(), config)))
    return 0 if found.learned else 1


def overfit_lines(found: Mapping[str, Any], config: RunConfig) -> list[str]:
    """The verdict on one batch, of `rehearsal.Learned.to_dict`.

    Args:
        found: what was found.
        config: of the run.
    """
    first, last = found["losses"][0], found["losses"][-1]
    batch = f"{counted(found['expressions'], 'expression')} of {counted(found['images'], 'image')}"
    change = (
        f"one batch ({batch}): in {counted(found['steps'], 'step')} the loss of the masks went from "
        f"{first['mask'] + first['box']:.4f} to {last['mask'] + last['box']:.4f}; {first['floor']:.4f} is the least "
        "that soft outlines allow"
    )
    if found["learned"]:
        return [change, "ok: the loss falls to near zero, so data, network and loss fit together"]
    why = f"; {found['ended']}" if found["ended"] else ""
    return [
        change,
        f"trouble: {found['left']:.0%} of it is left{why}. Look for another learning rate (it is "
        f"{config.train.learning_rate:g}; --find-rate), give more steps (--train.steps), and check masks and "
        "expressions (m3att data check)",
    ]


def run_find_rate(config: RunConfig, steps: int | None, out: Path) -> int:
    """Find a learning rate, and write the curve; exit code 1 where the loss falls at no rate.

    Args:
        config: of the run.
        steps: of the test; None: RATE_STEPS.
        out: folder that gets `rates.json` and `rates.png`.

    Raises:
        ConfigError: where Matplotlib is not installed.
    """
    from m3att.engine.rehearsal import find_rate
    from m3att.report.rate_chart import require_drawing, write_rate_chart
    from m3att.report.tables import plain_table

    require_drawing()  # before the work
    curve, picture = out / "rates.json", out / "rates.png"
    probe_file(curve, "--out")
    with progress_bar("learning rates") as advance:
        found = find_rate(config, steps or RATE_STEPS, advance)
    values = found.to_dict()
    about = {"optimizer": config.train.optimizer, "batch_size": config.train.batch_size, "steps": len(found.rates)}
    write_json(curve, {**about, **values})
    write_rate_chart(picture, values)
    rows = [[f"{found.rates[at]:.2g}", f"{found.smoothed[at]:.4f}"] for at in spread(len(found.rates), ROWS)]
    show(plain_table(["learning rate", "loss, smoothed"], rows))
    print("\n".join([*rate_lines(values, config), f"curve: {picture}, {curve}"]))
    return 0 if found.steepest is not None else 1


def rate_lines(found: Mapping[str, Any], config: RunConfig) -> list[str]:
    """What a range test says, of `rehearsal.RateRange.to_dict`.

    Args:
        found: what was found.
        config: of the run.
    """
    lines = [f"the test ended early: {found['ended']}"] if found["ended"] else []
    if found["suggestion"] is None:
        return [*lines, "no suggestion: the loss falls at no learning rate; try m3att train --overfit-one-batch"]
    return [
        *lines,
        f"the loss is lowest at {found['lowest_loss_at']:.2g} and falls most steeply at {found['suggestion']:.2g}",
        f"suggestion: --train.learning_rate {found['suggestion']:.2g} (now {config.train.learning_rate:g})",
    ]


def spread(count: int, most: int) -> list[int]:
    """Up to ``most`` positions of ``count``, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(number * (count - 1) / (most - 1)) for number in range(most)]
