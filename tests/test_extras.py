"""Optional libraries: imported on call, and named with their extra where they are missing."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from m3att.errors import ConfigError
from m3att.extras import require


def test_a_library_that_is_there_is_given() -> None:
    assert require("json.decoder", "tables", "a table").JSONDecodeError


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError) as caught:
        require("pandas", "tables", "to_pandas")
    assert str(caught.value) == "to_pandas needs pandas: pip install 'm3att[tables]'"


def test_a_library_that_lacks_another_one_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "halfway.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"needs halfway.*a_module_that_is_not_there"):
        require("halfway", "tables", "a table")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib")
def test_the_extras_that_messages_name_exist(repository: Path) -> None:
    import tomllib

    extras = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    code = "\n".join(path.read_text("utf-8") for path in (repository / "src").rglob("*.py"))
    named = set(re.findall(r"m3att\[(\w+)\]", code)) | set(re.findall(r'require\("[\w.]+", "(\w+)"', code))
    assert {"hf", "tables", "supervision"} <= named <= extras.keys()
