"""`m3att serve`: what the command line refuses, and how models are named."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from m3att.app.serve import name_models, read_token
from m3att.errors import ConfigError

PROBE = """
import sys
import m3att.serve.app, m3att.serve.server, m3att.app.serve
print([name for name in ("torch", "cv2", "m3att.segmenter") if name in sys.modules])
import m3att.serve.desk, m3att.serve.worker
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--seconds 0", "--seconds 0 is out of range, give 0.1 to 86400; see m3att serve --help"),
        ("--queue 0", "--queue 0 is out of range, give 1 to 100000; see m3att serve --help"),
        ("--port 70000", "--port 70000 is out of range, give 0 to 65535; see m3att serve --help"),
        ("--workers 0", "--workers 0 is out of range, give 1 to 256; see m3att serve --help"),
        ("--megapixels nan", "--megapixels nan is out of range, give 0.0001 to 175; see m3att serve --help"),
        ("--token-file nothing", "--token-file nothing: cannot be read (No such file or directory)"),
        ("--model a=b a=c", "--model: two models are called a; give one another name: NAME=c"),
    ],
)
def test_bad_options_are_refused_before_anything_is_loaded(
    refused: Callable[..., str], words: str, message: str
) -> None:
    assert refused("serve", *words.split()) == message


def test_a_port_that_is_taken_is_told_at_once(refused: Callable[..., str]) -> None:
    pytest.importorskip("fastapi")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = f"cannot listen at 127.0.0.1, port {port}: Address already in use; give another --port"
        assert refused("serve", "--port", str(port)) == message


def test_a_model_that_is_not_there_is_one_line(refused: Callable[..., str]) -> None:
    pytest.importorskip("fastapi")
    assert refused("serve", "--model", "nothing", "--port", "0").startswith("nothing: no such model; bundled are ")


def test_names_show_no_path(tmp_path: Path) -> None:
    for run in ("first", "second"):
        (tmp_path / run / "best").mkdir(parents=True)
    given = ["bundled", str(tmp_path / "first" / "best"), f"mine={tmp_path / 'second' / 'best'}", "owner/name"]
    assert name_models(given) == {
        "photo": "bundled",
        "first-best": given[1],
        "mine": str(tmp_path / "second" / "best"),
        "owner/name": "owner/name",
    }


def test_the_token_is_the_file_s_or_the_variable_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    file.write_text("  s3cret\n", encoding="utf-8")
    assert read_token(file) == "s3cret"
    monkeypatch.setenv("M3ATT_TOKEN", " other\n")  # as `$(cat file)` never, but a file of variables may give it
    assert read_token(None) == "other"
    monkeypatch.delenv("M3ATT_TOKEN")
    assert read_token(None) is None
    file.write_text("\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="is empty"):
        read_token(file)
    monkeypatch.setenv("M3ATT_TOKEN", " ")
    with pytest.raises(ConfigError, match="M3ATT_TOKEN: is empty"):
        read_token(None)


@pytest.mark.parametrize("token", ["pässword", "two words", "two\nlines", "a\x7f", "鍵"])
def test_a_token_that_no_request_can_carry_is_refused(tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token, encoding="utf-8")
    with pytest.raises(ConfigError, match="a header of HTTP cannot carry this token; use one word of"):
        read_token(tmp_path / "token")


@pytest.mark.parametrize("seconds", [0.0, 1.5])
def test_sigterm_ends_the_workers_too_whether_or_not_they_are_loading(
    tiny_model_folder: Path, tmp_path: Path, seconds: float
) -> None:
    pytest.importorskip("fastapi")
    command = [sys.executable, "-m", "m3att", "serve", "--model", str(tiny_model_folder), "--port", "0"]
    log = tmp_path / "log"
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        children: list[int] = []
        until = time.monotonic() + 60
        while not children and time.monotonic() < until:
            tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
            found = [int(number) for file in tasks for number in file.read_text().split()]
            children = [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
        time.sleep(seconds)
        process.terminate()
        assert process.wait(30) == -signal.SIGTERM  # as without a handler: 143 in a shell
    assert children and not any(Path(f"/proc/{one}").exists() for one in children)
    assert log.read_text() == ""


def test_the_process_that_answers_loads_no_network_library() -> None:
    pytest.importorskip("fastapi")
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True)
    assert done.stdout == "[]\nFalse\n", done.stderr  # nor does a worker that runs exported models
