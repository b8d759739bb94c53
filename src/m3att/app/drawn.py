"""Refuses to draw data that are read from their photos alone."""

from __future__ import annotations

from m3att.config import DataConfig
from m3att.effects import dataset_names
from m3att.errors import ConfigError


def check_drawn(chosen: bool, data: DataConfig) -> None:
    """Refuse `data.pixels` where it was asked for and would be passed over.

    Args:
        chosen: whether somebody gave it, on the command line or in a file. What a preset or a model was trained on may
            be drawn, and other data not.
        data: the settings of the data.

    Raises:
        ConfigError: where pictures were asked for that are drawn, of data in a form of one's own.
    """
    if not chosen or data.pixels not in ("layout", "collage"):
        return
    from m3att.data.fields import OWN_FORMS  # not above: it loads NumPy and OpenCV, which most commands need not

    names = dataset_names(data)
    if all(name in OWN_FORMS for name in names):
        root = "DATA" if data.root is None else data.root
        raise ConfigError(
            f"data.pixels {data.pixels}: data set {names[0]} is read from its photos; to have it drawn, give "
            f"`m3att data convert {root} --to refer --out DIR`, and then --data.root DIR --data.dataset custom"
        )
