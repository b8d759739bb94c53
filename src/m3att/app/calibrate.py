"""`m3att evaluate --calibrate`: fits a model's scores to what was scored, and stores the fit in its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from m3att.app.console import probe_file
from m3att.errors import ConfigError
from m3att.model_folder import BUNDLED_WORD, CONFIG, FORMER, bundled_models

if TYPE_CHECKING:
    from m3att.engine.scores import Scores
    from m3att.pretrained import Pretrained


def check_calibrate(given: Mapping[str, Any]) -> None:
    """Refuse, before hours of scoring, a calibration that could not be fitted or stored.

    Raises:
        ConfigError: what is wrong with it.
        WriteError: where the model's folder cannot be written.
    """
    if "floor" in given:
        raise ConfigError("--calibrate fits the scores of a model, and --floor has none: give --model")
    name = given["model"]
    if name in (*bundled_models(), *FORMER, BUNDLED_WORD):
        raise ConfigError(
            f"--calibrate writes into the model's folder, and {name} comes with m3att: save a copy first, by "
            f"Segmenter.from_pretrained({name!r}).save_pretrained('FOLDER') in Python, and give --model FOLDER"
        )
    if not Path(name).is_dir():
        raise ConfigError(f"--calibrate writes into the model's folder, which {name} is not: copy it into one")
    probe_file(Path(name) / CONFIG, "--model")


def calibrate(pretrained: Pretrained, scores: Scores) -> dict[str, Any]:
    """Fit, store and print.

    Args:
        pretrained: the model that was scored.
        scores: of it, with evidence. Their threshold and region become the model's own.

    Returns:
        For the JSON file: the calibration, and how well it fits images that were left out of the fit.

    Raises:
        ConfigError: where too little was scored.
    """
    import numpy as np

    from m3att.calibration import cross_validated, fit, reliability
    from m3att.pretrained import write_calibration

    positions, score_N, iou_N = scores.scored()
    evidence = [one.evidence for one in (scores.expressions[at] for at in positions) if one.evidence is not None]
    image_N = np.array([scores.expressions[at].image for at in positions])
    left_out_N = cross_validated(evidence, iou_N, image_N)
    before, after = (reliability(some_N, iou_N)["expected_calibration_error"] for some_N in (score_N, left_out_N))
    nothing = sum(not scores.expressions[at].has_target for at in positions)
    calibration = fit(evidence, iou_N, nothing, len(np.unique(image_N)))
    own, shown = pretrained.config.evaluate, scores.shown
    write_calibration(pretrained.folder, calibration, shown.threshold, shown.region)
    print(
        f"scores calibrated on {calibration.expressions:,} masks of {calibration.images:,} images, "
        f"{nothing:,} of expressions that name nothing: expected calibration error {100 * before:.1f} % before, "
        f"{100 * after:.1f} % on images left out of the fit; stored in {pretrained.folder / CONFIG}"
    )
    if (own.threshold, own.region) != (shown.threshold, shown.region):
        print(
            f"note: the model's threshold is now {shown.threshold:g} with region {shown.region}, as in this command; "
            f"it was {own.threshold:g} with region {own.region}"
        )
    return {**calibration.to_dict(), "error_before": before, "error_on_images_left_out": after}
