"""The page, driven in a headless Chromium as a user would. Set M3ATT_SCREENSHOTS to a folder to look at it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from .running import Server, picture_file, serving

SECONDS = 180


@pytest.fixture(scope="module")
def photo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service that has the model for photos alone. ONNX Runtime, because it starts faster."""
    pytest.importorskip("onnxruntime")
    with serving("--backend onnx --model photo", tmp_path_factory.mktemp("serve-photo") / "log") as running:
        yield running


@pytest.fixture
def page(chromium: Any, server: Server) -> Iterator[Any]:
    """The page; in the end no error was logged and no address but the service's was called."""
    context = chromium.new_context(viewport={"width": 1200, "height": 850}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(1000 * SECONDS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda call: None if call.url.startswith((server.address, "blob:")) else faults.append(call.url))
    page.goto(server.address)
    page.locator("#examples img").last.wait_for()
    yield page
    context.close()
    assert faults == []


def picture(page: Any, name: str) -> None:
    if folder := os.environ.get("M3ATT_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def downloaded(page: Any, row: int, button: str) -> Path:
    with page.expect_download() as download:
        page.locator("#results li").nth(row).get_by_text(button, exact=True).click()
    return Path(download.value.path())


def drop(page: Any, content: bytes, name: str = "photo.png", kind: str = "image/png") -> None:
    data = page.evaluate_handle(
        """([bytes, name, type]) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], name, { type }));
            return transfer;
        }""",
        [list(content), name, kind],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": data})


def test_an_example_shows_masks_that_can_be_compared_and_saved(page: Any, tmp_path: Path) -> None:
    page.locator("#examples button").nth(0).click()
    rows = page.locator("#results li")
    rows.nth(2).wait_for()
    said = page.locator("#status").text_content()
    assert "the blue bird: score 0." in said and "in the centre" in said
    masks = page.locator("#picture .mask")
    assert masks.count() == 3
    picture(page, "masks")
    # Switched off and on by keyboard and by mouse.
    page.keyboard.press("2")
    assert masks.count() == 2
    rows.nth(1).locator("input").check()
    assert masks.count() == 3
    rows.nth(0).hover()
    assert page.locator("#picture .dimmed").count() == 2
    box = page.locator("#picture .mask").nth(2).bounding_box()  # the mushroom
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#tip").text_content().startswith("3. the mushroom (0.")
    assert page.locator("#results li.chosen").text_content().startswith("3. the mushroom")
    picture(page, "compare")
    page.locator("#bare").check()
    assert masks.count() == 0
    page.locator("#bare").uncheck()
    # The files, each against the run lengths.
    told = json.loads(downloaded(page, 2, "JSON").read_text())
    assert told["expression"] == "the mushroom" and told["model"] == "shaperef-tiny"
    rle = json.loads(downloaded(page, 2, "RLE").read_text())
    mask = coco_mask.decode(rle).astype(bool)
    assert mask.sum() == told["area"]
    grey = np.asarray(Image.open(downloaded(page, 2, "PNG")).convert("L"))
    assert ((grey == 255) == mask).all() and set(np.unique(grey)) == {0, 255}
    left, top, right, bottom = told["box"]
    cut = np.asarray(Image.open(downloaded(page, 2, "Cut-out")))
    assert cut.shape == (bottom - top, right - left, 4)
    assert ((cut[..., 3] == 255) == mask[top:bottom, left:right]).all()


def titles(page: Any) -> list[str]:
    """The titles of the examples that the page shows."""
    page.locator("#examples img").last.wait_for()
    return [
        str(text).partition(":")[0]
        for text in page.locator("#examples img").evaluate_all("all => all.map((one) => one.alt)")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("form", "width", "height"), [("desktop", 1200, 850), ("phone", 360, 740)])
def test_photos_are_the_examples_of_the_model_for_photos(
    chromium: Any, photo_server: Server, form: str, width: int, height: int, scheme: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(1000 * SECONDS)
    page.goto(photo_server.address)
    assert titles(page) == ["Astronaut", "Cup of coffee", "Cat"]  # and no drawn scene
    assert page.locator("#examples-note").is_hidden()
    picture(page, f"photo-examples-{form}-{scheme}")
    page.locator("#examples button").nth(1).click()
    rows = page.locator("#results li")
    rows.nth(1).wait_for()
    assert page.locator("#model").input_value() == "photo"
    assert [text.split(". ")[1] for text in rows.locator("label").all_text_contents()] == ["the cup", "the spoon"]
    assert page.locator("#picture .mask").count() >= 1 and page.locator("#world").is_hidden()
    assert rows.first.get_by_text("Words", exact=True).count() == 0  # the ONNX form gives no attention
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    picture(page, f"photo-{form}-{scheme}")
    context.close()


def test_examples_are_those_of_the_models_that_are_served(page: Any) -> None:
    """This service has `shaperef-tiny` and a model of the user's own. Neither is for the photos of the examples."""
    assert titles(page) == [f"Drawn scene {number}" for number in (1, 2, 3, 4)]
    assert page.locator("#examples-note").is_hidden()


def test_a_service_without_the_models_of_the_examples_says_so(page: Any) -> None:
    def without_bundled(route: Any) -> None:
        answer = route.fetch()
        told = answer.json()
        told["models"] = [model for model in told["models"] if model["name"] == "tiny"]
        route.fulfill(response=answer, json=told)

    page.route("**/v1/service", without_bundled)
    page.reload()
    note = page.locator("#examples-note")
    note.wait_for()
    assert "(photo, shaperef-tiny)" in note.text_content() and len(titles(page)) == 7
    page.locator("#examples button").nth(6).click()
    page.locator("#results li").nth(2).wait_for()
    assert page.locator("#model").input_value() == "tiny" and page.locator("#error").is_hidden()
    picture(page, "examples-of-other-models")


def test_where_the_words_look(page: Any) -> None:
    page.locator("#examples button").nth(1).click()
    row = page.locator("#results li").nth(0)
    row.get_by_text("Words", exact=True).click()
    page.locator("#words button").nth(2).wait_for()
    assert page.locator("#words button").all_text_contents() == ["the", "white", "boat"]
    assert page.locator("#picture .mask").count() == 0
    page.locator("#words button").nth(2).click()
    lav = heat(page)
    picture(page, "lav")
    page.locator("input[value=val]").check()
    assert page.locator("#words button").first.text_content() == "all words"
    val = heat(page)
    picture(page, "val")
    assert lav != val and len(set(lav)) > 5 and len(set(val)) > 20
    page.locator("#picture").hover()
    shares = [line.rpartition(": ")[2] for line in page.locator("#tip").inner_text().splitlines()]
    assert len(shares) == 4 and sum(float(share.split()[0]) for share in shares) == pytest.approx(100, abs=3)
    page.locator("#layer").select_option("0")
    page.locator("#progress").wait_for(state="hidden")
    assert heat(page) != val
    page.keyboard.press("Escape")
    assert page.locator("#picture .mask").count() == 3


def heat(page: Any) -> list[int]:
    """The alpha of the heat map in places all over it."""
    found: list[int] = page.locator("#heat").evaluate(
        """canvas => {
            const copy = new OffscreenCanvas(canvas.width, canvas.height);
            const pen = copy.getContext("2d", { willReadFrequently: true });
            pen.drawImage(canvas, 0, 0);
            const { data } = pen.getImageData(0, 0, copy.width, copy.height);
            const step = 4 * Math.floor(data.length / 4 / 997);
            return Array.from({ length: 997 }, (_, n) => data[n * step + 3]);
        }"""
    )
    return found


def test_a_photo_is_dropped_and_asked_by_keyboard_alone(page: Any) -> None:
    drop(page, picture_file(300, 400))
    page.locator("#about").wait_for()
    assert page.locator("#about").text_content() == "400 × 300 pixels"
    page.locator("#expression:focus").wait_for()
    page.locator("#model").select_option("tiny")
    assert "a world of its own" in page.locator("#world").text_content()
    page.locator("#about").click()
    page.keyboard.press("/")
    page.keyboard.type("the man <b>zyx</b>")
    page.keyboard.press("Enter")
    label = page.locator("#results li label")
    label.wait_for()
    assert label.text_content() == "1. the man <b>zyx</b>"  # as text, never as markup
    assert "zyx" in page.locator("#results li .note").text_content()  # unknown
    page.locator("#expression").fill("qqq")
    page.keyboard.press("Enter")
    page.locator("#results li").nth(1).wait_for()
    assert "none of its words" in page.locator("#results li").nth(1).text_content()
    page.locator("#model").select_option("shaperef-tiny")
    page.locator("#progress").wait_for(state="hidden")
    page.locator("#expression").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.id") == "find"


def test_what_goes_wrong_is_told(page: Any) -> None:
    drop(page, b"no picture")
    error = page.locator("#error")
    error.wait_for()
    assert "cannot show this file" in error.text_content()
    drop(page, b"text", "a.txt", "text/plain")
    assert "no picture file" in error.text_content()
    page.locator("#expression").fill("the man")
    page.locator("#find").click()
    assert error.text_content() == "Choose a photo first, or click an example."
    drop(page, picture_file(30, 40) + bytes(310_000))
    page.wait_for_timeout(100)
    assert "0.3 MB; this service takes at most 0.3" in error.text_content()


def test_it_fits_a_phone_and_the_dark(chromium: Any, server: Server) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True)
    page = context.new_page()
    page.set_default_timeout(1000 * SECONDS)
    page.goto(server.address)
    page.locator("#examples button").nth(2).tap()
    page.locator("#results li").nth(2).wait_for()
    picture(page, "phone")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 360
    style = "getComputedStyle(document.body)"
    ground, text = page.evaluate(f"() => [{style}.backgroundColor, {style}.color]")
    assert ground == "rgb(20, 22, 28)" and text == "rgb(240, 241, 244)"
    box = page.locator("#picture .mask").first.bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#results li.chosen").count() == 1
    context.close()


def test_names_and_roles_for_a_screen_reader(page: Any) -> None:
    """Every control has a name, and what is found is announced."""
    page.locator("#examples button").nth(0).click()
    page.locator("#results li").nth(2).wait_for()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a")].filter((one) => !one.closest("[hidden]")
            && one.type !== "hidden" && !(one.ariaLabel || one.textContent.trim() || one.labels?.length
            || one.querySelector("img")?.alt)).map((one) => one.outerHTML)"""
    )
    assert nameless == []
    page.get_by_role("button", name="Download the mask as PNG: the mushroom").wait_for()
    page.get_by_role("checkbox", name="1. the person in cyan").wait_for()
    assert page.get_by_role("img", name="The image with the masks of: the person in cyan").count() == 1
    assert page.locator("[role=status][aria-live=polite]").text_content() != ""
