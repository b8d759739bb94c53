"""Takes the picture of the page in docs/serving.md: an example photo, its masks, and one of them in front.

python benchmarks/page_picture.py [--out docs/images/page.jpg]

It needs the extras `serve` and `onnx`, Playwright and a Chromium (`apt-get install chromium`).
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

EXAMPLE = 1  # the cup of coffee: it has two expressions
SIZE = {"width": 1100, "height": 820}


def main() -> None:
    """Start the service, click the example, take the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images/page.jpg"))
    given = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        parser.error("no Chromium here: apt-get install chromium")
    command = [sys.executable, "-m", "m3att", "serve", "--backend", "onnx", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service, sync_playwright() as driver:
        assert service.stdout is not None
        try:
            address = service.stdout.readline().split()[0]
            browser = driver.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            page = browser.new_page(viewport=SIZE)
            page.goto(address)
            page.locator("#examples button").nth(EXAMPLE).click()
            page.locator("#results li").nth(1).wait_for()
            page.locator("#picture .mask").first.wait_for()
            shot = page.screenshot()
            browser.close()
        finally:
            service.terminate()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    Image.open(BytesIO(shot)).convert("RGB").save(given.out, quality=85, optimize=True)
    print(given.out)


if __name__ == "__main__":
    main()
