"""`m3att export`, and predicting with what it wrote."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from m3att.app.cli import main
from m3att.errors import ConfigError, ModelError
from m3att.exported import load_exported
from m3att.segmenter import Segmenter

EXPRESSIONS = ["the man in red", "a cat", "the dog that is not black"]
PROBE = """
import sys
from m3att.app.cli import main
code = main(sys.argv[1:])
print(f"ended with {code}, torch loaded: {'torch' in sys.modules}", file=sys.stderr)
"""

ALONE = """
import runpy, sys
for name in ("m3att", "torch", "cv2", "pycocotools", "transformers"):
    sys.modules[name] = None  # its import then fails
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
INT8 = onnx.TensorProto.INT8


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "park.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (45, 61, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def exported(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "exported"
    assert main(["export", str(tiny_model_folder), "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def both(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with the network and its ONNX form."""
    folder = tmp_path_factory.mktemp("both") / "model"
    shutil.copytree(tiny_model_folder, folder)
    assert main(["export", str(folder), "--in-place"]) == 0
    return folder


def test_the_folder_holds_all_that_a_program_needs(exported: Path, tiny_model_folder: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == [
        "expression_head.onnx", "image_encoder.onnx", "onnx.json", "tokenizer.json",
    ]  # fmt: skip
    values = json.loads((exported / "onnx.json").read_text())
    own = Segmenter.from_pretrained(tiny_model_folder, "cpu")
    assert (values["input_size"], values["resize"]) == (32, own.model.inputs.resize)
    assert (values["threshold"], values["word_limit"], values["world"]) == (own.threshold, 8, "a world of its own")
    assert values["mask_stride"] == own.backend.mask_stride
    assert values["pixel_mean"] == own.network.vision.pixel_mean.flatten().tolist()
    assert (exported / "tokenizer.json").read_bytes() == (tiny_model_folder / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("form", ["exported", "both"])
def test_both_libraries_give_the_same_masks(
    form: str, tiny_model_folder: Path, photo: Path, request: pytest.FixtureRequest
) -> None:
    folder: Path = request.getfixturevalue(form)
    one = Segmenter.from_pretrained(tiny_model_folder, "cpu").encode(photo).segment(EXPRESSIONS)
    other = Segmenter.from_pretrained(folder, backend="onnx").encode(photo).segment(EXPRESSIONS)
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(theirs.probability, ours.probability, rtol=0, atol=1e-3)
        assert (ours.mask != theirs.mask).mean() < 0.001
        assert ours.area > 0 and ours.unknown_words == theirs.unknown_words


def test_graphs_in_place_share_the_weights(both: Path, exported: Path) -> None:
    for name in ("image_encoder.onnx", "expression_head.onnx"):
        assert (both / name).stat().st_size < (exported / name).stat().st_size / 1.5
    assert Segmenter.from_pretrained(both, "cpu").network is not None  # by itself still with PyTorch


def test_predict_loads_no_pytorch(exported: Path, both: Path, photo: Path, tmp_path: Path) -> None:
    for number, folder in enumerate((exported, both)):
        out = tmp_path / str(number)
        line = ["predict", str(photo), *EXPRESSIONS[:2], "--model", str(folder), "--out", str(out)]
        done = subprocess.run([sys.executable, "-c", PROBE, *line], capture_output=True, text=True)
        assert done.stderr.splitlines()[-1] == "ended with 0, torch loaded: False", done.stderr
        assert len(json.loads((out / "predictions.json").read_text())["images"][0]["predictions"]) == 2


def test_what_the_onnx_form_cannot_do_is_said(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runs on the CPU"):
        Segmenter.from_pretrained(exported, "cuda")
    with pytest.raises(ConfigError, match="float32"):
        Segmenter.from_pretrained(exported, dtype="bfloat16")
    with pytest.raises(ConfigError, match="backend 'tensorrt': give auto, onnx, pytorch"):
        Segmenter.from_pretrained(exported, backend="tensorrt")
    with pytest.raises(ModelError, match="ONNX form"):
        _ = Segmenter.from_pretrained(exported).network


def test_the_sample_program_needs_four_libraries_only(
    exported: Path, photo: Path, tmp_path: Path, repository: Path
) -> None:
    shutil.copy(photo, tmp_path / "park.png")
    line = [str(repository / "examples/onnx_predict.py"), str(exported), str(tmp_path / "park.png"), *EXPRESSIONS]
    done = subprocess.run([sys.executable, "-c", ALONE, *line], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = Segmenter.from_pretrained(exported).encode(photo).segment(EXPRESSIONS)
    for number, prediction in enumerate(ours, start=1):
        theirs = np.asarray(Image.open(tmp_path / f"park_{number}.png")) > 0
        # Pillow averages a side that shrinks by whole pixels, OpenCV by parts of them.
        assert theirs.shape == prediction.mask.shape and (theirs != prediction.mask).mean() < 0.05


def test_eight_bits_are_calibrated_on_photos(
    tiny_model_folder: Path, exported: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small"
    line = ["export", str(tiny_model_folder), "--out", str(small), "--int8", str(photo.parent)]
    assert main(line) == 0
    assert "8 bits on 1 photo: features differ by" in capsys.readouterr().out
    weights = onnx.load(str(small / "image_encoder.onnx")).graph.initializer
    kernels = [part for part in weights if part.data_type == INT8]
    assert kernels and all(len(kernel.dims) == 4 for kernel in kernels if len(kernel.dims) > 1)
    scales = [scale for scale in weights if scale.dims]
    assert any(len(scale.dims) == 1 and scale.dims[0] == kernels[0].dims[0] for scale in scales)  # one for each channel
    one, other = (Segmenter.from_pretrained(folder).encode(photo) for folder in (exported, small))
    features, rounded = one.features["features"], other.features["features"]
    assert 0 < np.abs(features - rounded).mean() < 0.1 * np.abs(features).mean()
    assert main(["export", str(tiny_model_folder), "--in-place", "--int8", str(photo)]) == 2


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("expression_head.onnx", None, "has no expression_head.onnx"),
        ("image_encoder.onnx", b"no graph", "ONNX Runtime .* cannot run it"),
        ("onnx.json", b"[]", "does not describe an exported model"),
        ("onnx.json", b'{"m3att_onnx": 1}', "does not describe an exported model"),
    ],
)
def test_a_broken_folder_is_named(
    exported: Path, tmp_path: Path, file: str, content: bytes | None, message: str
) -> None:
    folder = tmp_path / "broken"
    shutil.copytree(exported, folder)
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    with pytest.raises(ModelError, match=message):
        Segmenter(load_exported(folder))


def test_export_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nowhere", "--out", str(tmp_path / "x")]) == 2
    assert "nowhere: no such model" in capsys.readouterr().err
    assert main(["export", "shaperef-tiny"]) == 2
    assert "--out" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="signals end processes there at once")
def test_a_killed_export_leaves_nothing_and_what_it_cannot_help_leaving_goes_with_the_next(
    tiny_model_folder: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "m3att", "export", str(tiny_model_folder), "--out", str(tmp_path)]
    for number, left in ((signal.SIGTERM, 0), (signal.SIGKILL, 1)):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            until = time.monotonic() + 60
            while not list(tmp_path.iterdir()) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.02)
            process.send_signal(number)
            assert process.wait(60) == -number
            assert process.stderr is not None and process.stderr.read() == ""
        assert len(list(tmp_path.iterdir())) == left
    assert main(command[3:]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "expression_head.onnx", "image_encoder.onnx", "onnx.json", "tokenizer.json",
    }  # fmt: skip


def test_a_file_is_no_folder_to_export_to(tiny_model_folder: Path, photo: Path, refused: Callable[..., str]) -> None:
    said = refused("export", str(tiny_model_folder), "--out", str(photo))
    assert said == f"{photo}: is a file; name a folder as --out"
