"""A service under load: clients that ask all the time, for a minute, each request timed and every answer counted.

    python benchmarks/serve_load.py [--clients 50] [--seconds 60] [--model shaperef-tiny] [--json FILE]

It starts `m3att serve` on this machine. A third of the requests bring an image that the service has not seen; the
others ask about one of ten known images. Memory is that of the service and its workers, read each second.
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
from PIL import Image

from m3att.data.shaperef.source import ShapeRefSource
from m3att.files import replace_file

EXPRESSIONS = ("the red ball", "the blue bird", "the largest box", "the person on the left")
ALLOWED = {200, 429, 503}
KNOWN = 10


def main() -> int:
    """Start, load, report; 1 where an answer was an error of another kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--model", default="shaperef-tiny")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    line = [sys.executable, "-m", "m3att", "serve", "--model", given.model, "--port", "0", "--cache", "32"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[0]
            figures = load(address, process.pid, given.clients, given.seconds)
        finally:
            process.terminate()
    figures = {"model": given.model, "clients": given.clients, "seconds": given.seconds, **figures}
    print(json.dumps(figures, indent=1))
    if given.json is not None:
        replace_file(given.json, (json.dumps(figures, indent=1) + "\n").encode())
    return 0 if set(map(int, figures["answers"])) <= ALLOWED else 1


def load(address: str, number: int, clients: int, seconds: float) -> dict:
    """Ask from all clients until the time is over.

    Args:
        address: of the service.
        number: of its process.
        clients: that ask at the same time.
        seconds: to go on for.
    """
    source = ShapeRefSource("shaperef", "val", KNOWN, size=320)
    known = [source.read(index).image_HWC for index in range(KNOWN)]
    times: list[float] = []
    answers: Counter[int] = Counter()
    lock = threading.Lock()
    end = time.monotonic() + seconds

    def ask(client: int) -> None:
        random = np.random.default_rng(client)
        with httpx2.Client(base_url=address, timeout=120) as http:
            while time.monotonic() < end:
                image = known[random.integers(KNOWN)]
                if random.random() < 1 / 3:  # unseen: one pixel is another
                    image = image.copy()
                    image[tuple(random.integers(0, 320, 2))] = random.integers(0, 256, 3)
                file = BytesIO()
                Image.fromarray(image).save(file, format="PNG", compress_level=1)
                texts = [EXPRESSIONS[at] for at in random.permutation(len(EXPRESSIONS))[: random.integers(1, 4)]]
                begun = time.monotonic()
                answer = http.post("/v1/segment/upload", files={"image": file.getvalue()}, data={"expressions": texts})
                with lock:
                    answers[answer.status_code] += 1
                    if answer.status_code == 200:
                        times.append(time.monotonic() - begun)
                if answer.status_code in (429, 503):
                    time.sleep(float(answer.headers.get("retry-after", 1)))

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    memory = []
    while time.monotonic() < end:
        time.sleep(1.0)
        memory.append(resident(number))
    for thread in threads:
        thread.join()
    third = max(1, len(memory) // 3)
    return {
        "answers": {str(status): count for status, count in sorted(answers.items())},
        "answers_a_second": round(len(times) / seconds, 2),
        "p50_seconds": round(float(np.quantile(times, 0.5)), 3) if times else None,
        "p95_seconds": round(float(np.quantile(times, 0.95)), 3) if times else None,
        "megabytes_in_the_second_third": round(max(memory[third : 2 * third] or memory) / 1e6),
        "megabytes_in_the_last_third": round(max(memory[-third:]) / 1e6),
    }


def resident(number: int) -> int:
    """Bytes in memory of a process and its children."""
    total = int(Path(f"/proc/{number}/statm").read_text().split()[1]) * 4096
    for file in Path(f"/proc/{number}/task").glob("*/children"):
        total += sum(map(resident, map(int, file.read_text().split())))
    return total


if __name__ == "__main__":
    sys.exit(main())
