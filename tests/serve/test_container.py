"""The container file, as far as it can be checked without building it."""

from __future__ import annotations

import re
from pathlib import Path

from m3att.app.cli import COMMANDS


def test_the_container_file_copies_what_there_is_and_serves(repository: Path) -> None:
    text = (repository / "Containerfile").read_text(encoding="utf-8")
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", text, re.MULTILINE) for name in line.split()]
    allowed = (repository / ".containerignore").read_text(encoding="utf-8").splitlines()
    assert "src" in copied and [name for name in copied if f"!{name}" not in allowed] == []
    assert [name for name in copied if not (repository / name).exists()] == []
    assert "'.[serve]'" in text and re.search(r"^serve = ", (repository / "pyproject.toml").read_text(), re.MULTILINE)
    entry = re.search(r'^ENTRYPOINT \["m3att", "(\w+)"', text, re.MULTILINE)
    assert entry is not None and entry[1] in COMMANDS
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)
