"""Fixtures that several test files share."""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# One thread, said before torch or OpenCV are loaded and inherited by the processes that tests start: tensors this small
# are slower on two threads, and many times slower where another process uses the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENCV_FOR_THREADS_NUM", "1")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds pyproject.toml."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Annotations that tests read are cached where nobody's own cache lies."""
    os.environ["M3ATT_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_folder(repository: Path) -> Path:
    """Real data that may not be committed: $M3ATT_SHARED, or the folder ``shared`` beside the repository."""
    folder = Path(os.environ.get("M3ATT_SHARED", repository.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}: set M3ATT_SHARED to its folder")
    return folder


@pytest.fixture(scope="session")
def refer_photos(shared_folder: Path) -> Path:
    """Root of the REFER layout with 13 real photos and the polygons and expressions of RefCOCO and RefCOCO+."""
    folder = shared_folder / "refer-photos"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


@pytest.fixture(scope="session")
def refer_boxes(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of the real RefCOCO and RefCOCO+ (UNC, train and val) with boxes but no photos, unpacked for this run."""
    archive = shared_folder / "refer-boxes.tar.xz"
    if not archive.is_file():
        pytest.skip(f"{archive} is absent")
    folder = tmp_path_factory.mktemp("refer-boxes")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (root,) = {path.parent.parent for path in folder.rglob("instances.json")}
    return root


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a tiny random network, for whatever only needs one that runs; copy it before changing it."""
    import torch

    from m3att.config import DecoderConfig, InputConfig, MaskDecoderConfig, ModelConfig, RunConfig, VisionConfig
    from m3att.data.text import Tokenizer
    from m3att.model.build import build_network
    from m3att.pretrained import save_model

    model = ModelConfig(
        channels=32,
        word_limit=8,
        vision=VisionConfig(widths=(8, 16), blocks=(0, 0), encoder_layers=1),
        decoder=DecoderConfig(layers=2, heads=2, feedforward=1),
        mask=MaskDecoderConfig(channels=8, upsamplings=1),
    )
    config = RunConfig(model=model, input=InputConfig(size=32))
    tokenizer = Tokenizer.from_texts(["the man in red on the left", "the dog that is not black", "a cat"], 8)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = build_network(model, config.input.size, tokenizer.size)
        network.eval()
        # Random weights alone give one grey everywhere; steeper logits around zero give masks with an inside.
        last = network.mask_decoder.stack[-1]
        last.weight.data.mul_(100.0)
        words = tokenizer(["the man in red"])
        with torch.no_grad():
            pixels_BCHW = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
            output = network(pixels_BCHW, torch.zeros(1, dtype=torch.int64), words.word_ids_NL, words.word_mask_NL)
        last.bias.data.sub_(output.mask_logits_NHW.mean())
    folder = tmp_path_factory.mktemp("tiny-model")
    save_model(folder, network, tokenizer, config, world="a world of its own")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright. It lives for one file, because asyncio cannot run beside it."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
