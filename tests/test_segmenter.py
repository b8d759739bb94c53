"""The Python API: masks at the image's own size, one encoding an image, and every bad input answered."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

import m3att.segmenter
from m3att import Prediction, Segmenter
from m3att.config import EvaluateConfig
from m3att.data.annotation import decode_segmentation
from m3att.data.transforms import Resize
from m3att.errors import ConfigError, ExpressionError, ModelError
from m3att.pretrained import load_model
from m3att.regions import peak_region
from m3att.segmenter import Picture

MAN, DOG, CAT = "the man in red", "the dog that is not black", "a cat"


@pytest.fixture(scope="module")
def segmenter(tiny_model_folder: Path) -> Segmenter:
    return Segmenter.from_pretrained(tiny_model_folder, device="cpu")


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    image_HWC = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image_HWC[10:30, 10:30] = (255, 0, 0)
    return image_HWC


def test_a_prediction_has_mask_score_box_and_rle_of_the_images_own_size(
    segmenter: Segmenter, image: NDArray[np.uint8]
) -> None:
    (prediction,) = segmenter.encode(image).segment([MAN])
    assert prediction.expression == MAN
    assert prediction.mask.shape == (40, 60) and prediction.mask.dtype == np.bool_
    assert 0 < prediction.area < 40 * 60
    assert prediction.probability.dtype == np.float32
    assert np.array_equal(prediction.mask, prediction.probability > prediction.threshold)
    assert prediction.score == pytest.approx(prediction.probability[prediction.mask].mean(), abs=1e-6)
    assert np.array_equal(decode_segmentation(prediction.rle, 40, 60), prediction.mask)
    assert prediction.box is not None
    left, top, right, bottom = prediction.box
    rows, columns = np.nonzero(prediction.mask)
    assert (left, top, right, bottom) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_an_empty_mask_has_no_box_and_no_score(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    (prediction,) = segmenter.encode(image).segment([MAN], threshold=0.99)
    assert (prediction.area, prediction.box, prediction.score) == (0, None, 0.0)
    assert prediction.to_dict()["box"] is None


def test_an_image_is_encoded_once_for_all_its_expressions(
    segmenter: Segmenter, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, int]] = []
    encode, segment = segmenter.network.encode, segmenter.network.segment

    def count_encode(pixels_BCHW: torch.Tensor) -> object:
        calls.append(("encode", len(pixels_BCHW)))
        return encode(pixels_BCHW)

    def count_segment(images: object, index_N: torch.Tensor, *words: torch.Tensor) -> object:
        calls.append(("segment", len(index_N)))
        return segment(images, index_N, *words)

    monkeypatch.setattr(segmenter.network, "encode", count_encode)
    monkeypatch.setattr(segmenter.network, "segment", count_segment)
    scene = segmenter.encode(image)
    assert len(scene.segment([MAN, DOG] * 35)) == 70
    scene.segment(CAT)
    # One encoding; the language half in bounded batches.
    assert calls == [("encode", 1), ("segment", 64), ("segment", 6), ("segment", 1)]


def test_an_expression_is_not_influenced_by_the_others(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    scene = segmenter.encode(image)
    together = scene.segment([CAT, DOG, MAN, "cat"])  # of 2, 6, 4 and 1 words: all but one are padded
    for prediction in together:
        (alone,) = scene.segment(prediction.expression)
        np.testing.assert_allclose(prediction.probability, alone.probability, atol=1e-5)


def test_a_mask_is_what_the_network_trained_and_scored_with_says(
    segmenter: Segmenter, image: NDArray[np.uint8]
) -> None:
    """Slowly, and apart from the Segmenter: the same resize, words, inverse and threshold as in training."""
    pretrained = segmenter.pretrained
    resize = Resize(40, 60, 32, pretrained.config.input.resize)
    words = pretrained.tokenizer([DOG])
    pixels_BCHW = torch.from_numpy(resize.image(image)).permute(2, 0, 1)[None]
    with torch.no_grad():
        output = pretrained.network(pixels_BCHW, torch.zeros(1, dtype=torch.int64), *dataclasses.astuple(words)[:2])
    inverted_NHW = torch.from_numpy(resize.invert(output.mask_logits_NHW, output.mask_stride))
    probability_NHW = torch.sigmoid(inverted_NHW).numpy()
    (prediction,) = segmenter.encode(image).segment([DOG])
    np.testing.assert_allclose(prediction.probability, probability_NHW[0], atol=1e-5)


def test_expressions_beyond_one_turn_get_the_same_masks(
    segmenter: Segmenter, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = segmenter.encode(image)
    expected = scene.segment([MAN, DOG, CAT])
    sizes: list[int] = []
    whole = Segmenter.mask_logits

    def spy(self: Segmenter, features: Any, expressions: Sequence[str]) -> NDArray[np.float32]:
        sizes.append(len(expressions))
        return whole(self, features, expressions)

    monkeypatch.setattr(Segmenter, "mask_logits", spy)
    monkeypatch.setattr(m3att.segmenter, "EXPRESSIONS_AT_ONCE", 2)
    found = scene.segment([MAN, DOG, CAT])
    assert sizes == [2, 1]
    for one, other in zip(expected, found, strict=True):
        assert np.array_equal(one.mask, other.mask)


def test_threshold_is_the_models_own_unless_given(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    scene = segmenter.encode(image)
    assert scene.segment(MAN)[0].threshold == segmenter.threshold == EvaluateConfig().threshold
    low, high = scene.segment(MAN, threshold=0.2)[0], scene.segment(MAN, threshold=0.6)[0]
    assert low.threshold == 0.2
    assert low.area > high.area > 0
    assert (low.mask | high.mask).sum() == low.area
    for wrong in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="threshold"):
            scene.segment(MAN, threshold=wrong)


def test_the_region_is_the_models_own_unless_given(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    scene = segmenter.encode(image)
    (every,) = scene.segment(MAN, threshold=0.5)
    (peak,) = scene.segment(MAN, threshold=0.5, region="peak")
    assert segmenter.region == "all"
    assert (every.mask == (every.probability > 0.5)).all()
    assert (peak.mask == peak_region(every.mask, every.probability)).all()
    with pytest.raises(ConfigError, match="region 'middle': give all or peak"):
        scene.segment(MAN, region="middle")


def test_file_picture_and_array_are_the_same_scene(
    segmenter: Segmenter, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    Image.fromarray(image).save(tmp_path / "park.png")
    tensor = torch.from_numpy(image).permute(2, 0, 1)
    forms: list[Picture] = [
        image, Image.fromarray(image), tmp_path / "park.png", str(tmp_path / "park.png"),
        (tmp_path / "park.png").read_bytes(), tensor, tensor / 255, (tensor / 255).double().requires_grad_(),
    ]  # fmt: skip
    first, *others = (segmenter.encode(given).segment(MAN)[0] for given in forms)
    for other in others:
        assert np.array_equal(first.probability, other.probability)


def test_many_images_are_encoded_batch_by_batch(
    segmenter: Segmenter, image: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [image, image[:20], image[:, :9], image[::-1]]
    alone = [segmenter.encode(one).segment([MAN, DOG]) for one in images]
    sizes: list[int] = []
    encode = segmenter.network.encode
    monkeypatch.setattr(segmenter.network, "encode", lambda pixels: sizes.append(len(pixels)) or encode(pixels))
    scenes = list(segmenter.encode_many(iter(images), batch_size=3))
    assert sizes == [3, 1]
    for scene, expected in zip(scenes, alone, strict=True):
        for found, other in zip(scene.segment([MAN, DOG]), expected, strict=True):
            np.testing.assert_allclose(found.probability, other.probability, atol=1e-4)
    assert list(segmenter.encode_many([])) == []
    with pytest.raises(ConfigError, match="batch_size 0"):
        segmenter.encode_many(images, batch_size=0)


def test_a_scene_keeps_its_picture_whatever_becomes_of_the_callers(segmenter: Segmenter) -> None:
    mine = np.zeros((8, 8, 3), dtype=np.uint8)
    scene = segmenter.encode(mine)
    mine[:] = 255
    assert scene.image.max() == 0


def test_threads_can_share_a_segmenter(segmenter: Segmenter) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, (24, 24, 3), dtype=np.uint8) for seed in range(4)]
    expected = [segmenter.encode(image).segment(MAN)[0].probability for image in images]
    found: dict[int, NDArray[np.float32]] = {}

    half = Segmenter(segmenter.pretrained, dtype="bfloat16")  # in another thread it must not change ours

    def work(number: int) -> None:
        for _ in range(3):
            found[number] = segmenter.encode(images[number]).segment([DOG, MAN])[1].probability

    def disturb() -> None:
        for scene in half.encode_many(images * 3, batch_size=2):
            scene.segment([MAN, CAT])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    threads += [threading.Thread(target=disturb)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, probability_HW in enumerate(expected):
        np.testing.assert_allclose(found[number], probability_HW, atol=1e-5)


def test_overlay_shows_the_expression_under_the_picture(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    overlay = segmenter.encode(image).segment(MAN)[0].overlay()
    assert overlay.mode == "RGB"
    assert overlay.height > 40 * overlay.width / 60  # the strip with the caption


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (3, 2000), (33, 31)])
def test_any_image_size(segmenter: Segmenter, size: tuple[int, int]) -> None:
    for prediction in segmenter.encode(np.full((*size, 3), 90, dtype=np.uint8)).segment([MAN, DOG]):
        assert prediction.mask.shape == size
        assert prediction.overlay().width >= 100


def test_a_100_megapixel_image(segmenter: Segmenter) -> None:
    (prediction,) = segmenter.encode(Image.new("L", (12_500, 8_000), 90)).stream([DOG])
    assert prediction.mask.shape == (8_000, 12_500)


def test_a_photo_that_lies_on_its_side_is_masked_upright(
    segmenter: Segmenter, image: NDArray[np.uint8], tmp_path: Path
) -> None:
    rotated = Image.fromarray(np.rot90(image).copy())
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    rotated.save(tmp_path / "phone.png", exif=exif)
    scene = segmenter.encode(tmp_path / "phone.png")
    assert np.array_equal(scene.image, image)
    assert np.array_equal(scene.segment(MAN)[0].mask, segmenter.encode(image).segment(MAN)[0].mask)


@pytest.mark.parametrize("kind", ["CMYK", "L", "P", "RGBA", "LA", "1", "I;16"])
def test_every_kind_of_picture_is_read(segmenter: Segmenter, tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("image.jpg" if kind == "CMYK" else "image.png")
    if kind == "I;16":
        Image.fromarray(np.linspace(0, 65535, 20 * 30).astype(np.uint16).reshape(20, 30)).save(path)
    else:
        Image.linear_gradient("L").resize((30, 20)).convert("RGB").convert(kind).save(path)
    scene = segmenter.encode(path)
    assert scene.segment(MAN)[0].mask.shape == (20, 30)
    assert scene.image.max() > 200 and scene.image.min() < 60  # not all white, as a careless conversion makes it


@pytest.mark.parametrize("empty", ["", "   ", "?!...", "\n"])
def test_an_expression_without_a_word_is_refused(segmenter: Segmenter, empty: str) -> None:
    with pytest.raises(ExpressionError, match="no word"):
        segmenter.encode(np.zeros((8, 8, 3), np.uint8)).segment([MAN, empty])


def test_an_expression_of_unknown_words_is_refused_by_name(segmenter: Segmenter) -> None:
    with pytest.raises(ExpressionError, match=r"none of its words \(Quokka, zyx\)"):
        segmenter.check("Quokka zyx")
    # What is known but lies beyond the limit is not read, so it does not help.
    with pytest.raises(ExpressionError, match="none of its words"):
        segmenter.check("zyx " * 8 + "cat")
    with pytest.raises(ExpressionError) as caught:
        segmenter.check("x" * 100_000)
    assert len(str(caught.value)) < 300


def test_some_unknown_words_are_reported(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    known, partly = segmenter.encode(image).segment([MAN, "the Quokka in red"])
    assert known.unknown_words == ()
    assert partly.unknown_words == ("Quokka",)
    assert partly.to_dict()["unknown_words"] == ["Quokka"]


def test_a_misspelt_word_is_read_as_the_nearest_known_one_and_named(
    segmenter: Segmenter, image: NDArray[np.uint8]
) -> None:
    right, wrong = segmenter.encode(image).segment([MAN, MAN.replace("man", "mans")])
    assert np.array_equal(right.mask_logits, wrong.mask_logits)
    assert (right.read_as, wrong.read_as) == ((), (("mans", "man"),))
    assert (wrong.expression, wrong.unknown_words) == (MAN.replace("man", "mans"), ())
    assert wrong.to_dict()["read_as"] == {"mans": "man"}
    assert segmenter.check("mans").read_as == (("mans", "man"),)  # no known word, but one that is read


def test_a_long_expression_is_cut_and_says_so(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    scene = segmenter.encode(image)
    long, short = scene.segment([" ".join(["cat"] * 10_000), " ".join(["cat"] * 8)])
    assert (long.words_cut, short.words_cut) == (9992, 0)
    assert np.array_equal(long.mask, short.mask)
    assert scene.segment("cat " * 8 + "zyx")[0].unknown_words == ()  # it was not read


def test_text_that_is_no_unicode_is_refused(segmenter: Segmenter) -> None:
    with pytest.raises(ExpressionError, match="UTF-8"):
        segmenter.check("caf\udce9")


def test_no_expression_no_prediction(segmenter: Segmenter, image: NDArray[np.uint8]) -> None:
    assert segmenter.encode(image).segment([]) == []


def test_a_wrong_device_is_named(tiny_model_folder: Path) -> None:
    for device in ("gpu", "cuda:99"):
        with pytest.raises(ConfigError, match=device):
            Segmenter.from_pretrained(tiny_model_folder, device=device)


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere"):
        Segmenter.from_pretrained(tmp_path / "nowhere")


def test_segmenter_takes_what_load_model_gives(tiny_model_folder: Path) -> None:
    segmenter = Segmenter(load_model(tiny_model_folder))
    assert segmenter.world == "a world of its own"
    assert not segmenter.network.training


@pytest.fixture
def fields() -> dict[str, object]:
    return {
        "expression": MAN,
        "mask": np.zeros((4, 6), np.bool_),
        "score": 0.5,
        "threshold": 0.35,
        "image": np.zeros((4, 6, 3), np.uint8),
        "mask_logits": np.zeros((2, 2), np.float32),
        "resize": Resize(4, 6, 32, "letterbox"),
        "mask_stride": 16.0,
    }


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("mask", np.zeros((6, 4), np.bool_)),
        ("mask", np.zeros((4, 6), np.uint8)),
        ("score", 1.5),
        ("score", float("nan")),
        ("threshold", 1.0),
        ("image", np.zeros((4, 6), np.uint8)),
        ("image", np.zeros((4, 6, 3), np.float32)),
        ("resize", Resize(6, 4, 32, "letterbox")),
        ("mask_logits", np.zeros((1, 2, 2), np.float32)),
        ("mask_stride", 15.0),
        ("words_cut", -1),
    ],
)
def test_a_prediction_that_does_not_agree_is_not_born(fields: dict[str, object], field: str, wrong: object) -> None:
    assert Prediction(**fields).area == 0  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=field):
        Prediction(**fields | {field: wrong})  # type: ignore[arg-type]


def test_a_prediction_is_frozen(fields: dict[str, object]) -> None:
    prediction = Prediction(**fields)  # type: ignore[arg-type]
    with pytest.raises(dataclasses.FrozenInstanceError):
        prediction.score = 1.0  # type: ignore[misc]


def test_a_mask_picture_is_black_and_white(repository: Path, tmp_path: Path) -> None:
    segmenter = Segmenter.from_pretrained("shaperef-tiny")
    prediction = segmenter.encode(repository / "examples" / "scene.jpg").segment("the mushroom")[0]
    prediction.mask_picture().save(tmp_path / "mask.png")
    written_HW = np.asarray(Image.open(tmp_path / "mask.png"))
    assert written_HW.dtype == np.uint8 and set(np.unique(written_HW)) == {0, 255}
    assert np.array_equal(written_HW == 255, prediction.mask)
