"""A service under load: clients that ask all the time, for a minute, each request timed and every answer counted.

    python benchmarks/serve_load.py [--clients 50] [--seconds 60] [--model photo] [--backend auto] [--json FILE]

It starts `m3att serve` on this machine. A third of the requests bring an image that the service has not seen; the
others ask about one of ten known images, which are parts of the pictures in `examples/`. Answers are counted by their
status, and requests without an answer by their error. Times are those of answers with status 200. Memory is that of the
service and its workers, read each second.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from io import BytesIO
from pathlib import Path

import httpx2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from m3att.files import replace_file

PICTURES = sorted((Path(__file__).resolve().parent.parent / "examples").glob("*.jpg"))
EXPRESSIONS = ("the cup", "the person", "the red one", "the person on the left")
ALLOWED = {"200", "429", "503"}
KNOWN, SIDE = 10, 320  # images, and their pixels


def main() -> int:
    """Start, load, report; 1 where nothing was answered, or an answer was an error other than 429 and 503."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--model", default="photo")
    parser.add_argument("--backend", choices=("auto", "pytorch", "onnx"), default="auto")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    line = [sys.executable, "-m", "m3att", "serve", "--model", given.model, "--backend", given.backend]
    line += ["--port", "0", "--cache", "32"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().partition(" ")[0]
            if not address.startswith("http://"):
                sys.exit("the service did not start; it says why above")
            figures = load(address, process.pid, given.clients, given.seconds)
        finally:
            process.terminate()
    figures = {
        "model": given.model,
        "backend": given.backend,
        "clients": given.clients,
        "seconds": given.seconds,
        **figures,
    }
    print(json.dumps(figures, indent=1))
    if given.json is not None:
        replace_file(given.json, (json.dumps(figures, indent=1) + "\n").encode())
    return 0 if "200" in figures["answers"] and set(figures["answers"]) <= ALLOWED else 1


def load(address: str, number: int, clients: int, seconds: float) -> dict:
    """Ask from all clients until the time is over.

    Args:
        address: of the service.
        number: of its process.
        clients: that ask at the same time.
        seconds: to go on for.
    """
    known = known_images()
    times: list[float] = []
    answers: Counter[str] = Counter()
    lock = threading.Lock()
    end = 0.0

    def begin() -> None:
        nonlocal end
        end = time.monotonic() + seconds

    ready = threading.Barrier(clients + 1, action=begin)  # time runs when all clients are there

    def ask(client: int) -> None:
        random = np.random.default_rng(client)
        with httpx2.Client(base_url=address, timeout=120, verify=False) as http:  # no TLS, so no certificates
            ready.wait()
            while time.monotonic() < end:
                image = known[random.integers(KNOWN)]
                if random.random() < 1 / 3:  # unseen: one pixel is another
                    image = image.copy()
                    image[tuple(random.integers(0, SIDE, 2))] = random.integers(0, 256, 3)
                file = BytesIO()
                Image.fromarray(image).save(file, format="PNG", compress_level=1)
                texts = [EXPRESSIONS[at] for at in random.permutation(len(EXPRESSIONS))[: random.integers(1, 4)]]
                begun = time.monotonic()
                request = {"files": {"image": file.getvalue()}, "data": {"expressions": texts}}
                try:
                    answer = http.post("/v1/segment/upload", **request)
                except httpx2.HTTPError as error:
                    with lock:
                        answers[type(error).__name__] += 1
                    continue
                with lock:
                    answers[str(answer.status_code)] += 1
                    if answer.status_code == 200:
                        times.append(time.monotonic() - begun)
                if answer.status_code in (429, 503):
                    time.sleep(float(answer.headers.get("retry-after", 1)))

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    ready.wait()
    memory = [resident(number)]
    while time.monotonic() < end:
        time.sleep(1.0)
        memory.append(resident(number))
    for thread in threads:
        thread.join()
    third = max(1, len(memory) // 3)
    before, after = max(memory[third : 2 * third] or memory), max(memory[-third:])
    return {
        "answers": dict(sorted(answers.items())),
        "answers_a_second": round(len(times) / seconds, 2),
        "p50_seconds": round(float(np.quantile(times, 0.5)), 3) if times else None,
        "p95_seconds": round(float(np.quantile(times, 0.95)), 3) if times else None,
        "megabytes_at_the_start": round(memory[0] / 1e6),
        "megabytes_in_the_second_third": round(before / 1e6),
        "megabytes_in_the_last_third": round(after / 1e6),
        "growth_from_second_to_last_third_in_percent": round(100 * (after / before - 1), 1),
    }


def known_images() -> list[NDArray[np.uint8]]:
    """Squares out of the example pictures, each (SIDE, SIDE, 3)."""
    chance = np.random.default_rng(0)
    found = []
    for number in range(KNOWN):
        with Image.open(PICTURES[number % len(PICTURES)]) as picture:
            scale = 1.2 * SIDE / min(picture.size)
            image = picture.convert("RGB").resize((round(scale * picture.width), round(scale * picture.height)))
        image_HWC = np.array(image)
        top, left = (int(chance.integers(0, length - SIDE + 1)) for length in image_HWC.shape[:2])
        found.append(image_HWC[top : top + SIDE, left : left + SIDE])
    return found


def resident(number: int) -> int:
    """Bytes in memory of a process and its children."""
    total = int(Path(f"/proc/{number}/statm").read_text().split()[1]) * 4096
    for file in Path(f"/proc/{number}/task").glob("*/children"):
        total += sum(map(resident, map(int, file.read_text().split())))
    return total


if __name__ == "__main__":
    sys.exit(main())
