"""Referring image segmentation: finds the object that an expression names in an image.

>>> from m3att import Segmenter                             # doctest: +SKIP
>>> scene = Segmenter.from_pretrained("bundled").encode("park.png")
>>> [prediction.mask for prediction in scene.segment(["the man in red"])]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from m3att.pipelines import pipeline
    from m3att.prediction import Prediction, Predictions
    from m3att.segmenter import Scene, Segmenter

__version__ = "0.1.0"
__all__ = ["Prediction", "Predictions", "Scene", "Segmenter", "pipeline", "__version__"]

_HOMES = {
    "Prediction": "prediction",
    "Predictions": "prediction",
    "Scene": "segmenter",
    "Segmenter": "segmenter",
    "pipeline": "pipelines",
}


def __getattr__(name: str) -> Any:
    """Load the Python API on first use, so that `import m3att` does not wait for PyTorch (PEP 562)."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"m3att.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
