"""README and docs: tables that fit on a screen, and commands whose names, options and presets exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from m3att.app.cli import COMMANDS, main
from m3att.model_folder import bundled_models
from m3att.presets import PRESETS

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md")))
WIDEST = 5
OPTION = re.compile(r"(?<![\w-])--[a-zA-Z][\w.-]*")


@cache
def text_of(page: str) -> str:
    return (REPOSITORY / page).read_text(encoding="utf-8")


def codes_of(text: str) -> Iterator[str]:
    """What a page sets as code, without comments: lines of code blocks, and what stands between backticks in a line."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield re.sub(r"(^|\s)#.*", "", line).strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def words_behind(code: str, program: str) -> list[str] | None:
    """The words behind a program's name; None where the code does not call it."""
    words = code.replace("[", " ").replace("]", " ").split()
    return words[1:] if words and words[0] in (program, f".venv/bin/{program}") else None


def command_of(words: list[str]) -> str | None:
    """The sub-command that the first words name."""
    return next((name for name in (" ".join(words[:2]), *words[:1]) if name in COMMANDS), None)


COMMAND_LINES = [
    pytest.param(words, id=f"{page}: {code[:70]}")
    for page in PAGES
    for code in dict.fromkeys(codes_of(text_of(page)))
    if (words := words_behind(code, "m3att")) and words[0].isidentifier()
]
SCRIPTS = sorted(
    {
        (words[0], " ".join(words[1:]))
        for page in PAGES
        for code in codes_of(text_of(page))
        if (words := words_behind(code, "python")) and words[0].endswith(".py")
    }
)


@cache
def options_of(name: str) -> frozenset[str]:
    """The options of a sub-command, read off its help."""
    with redirect_stdout(StringIO()) as printed:
        assert main([*name.split(), "--help"]) == 0
    return frozenset(OPTION.findall(printed.getvalue()))


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_a_command_line_names_what_exists(words: list[str]) -> None:
    if words[0] == "COMMAND" or (len(words) == 1 and any(name.startswith(f"{words[0]} ") for name in COMMANDS)):
        return  # a placeholder, or a group of commands
    name = command_of(words)
    assert name is not None, f"no command {' '.join(words[:2])}"
    line = " ".join(words)
    unknown = set(OPTION.findall(line)) - options_of(name)
    assert not unknown, f"m3att {name} has no {', '.join(sorted(unknown))}"
    for preset in re.findall(r"--preset ([\w+-]+)", line):
        assert preset in PRESETS or preset == "NAME", f"no preset {preset}"
    for model in re.findall(r"--model (\S+)", line):
        assert model.isupper() or "/" in model or model in (*bundled_models(), "bundled"), f"no model {model}"


@pytest.mark.parametrize(("script", "arguments"), SCRIPTS)
def test_a_script_that_is_called_exists_and_knows_its_options(script: str, arguments: str) -> None:
    code = (REPOSITORY / script).read_text(encoding="utf-8")
    assert [option for option in OPTION.findall(arguments) if f'"{option}"' not in code] == []


@pytest.mark.parametrize("page", PAGES)
def test_an_option_that_stands_alone_belongs_to_some_command(page: str) -> None:
    known = {"--help", "--version"}.union(*(options_of(name) for name in COMMANDS))
    named = {option for code in codes_of(text_of(page)) if code.startswith("--") for option in OPTION.findall(code)}
    assert named - known - {"--section.field"} == set()


def test_commands_are_found_at_all() -> None:
    assert len(COMMAND_LINES) > 40 and len(SCRIPTS) > 4
    assert words_behind("m3att data check ROOT [--read]", "m3att") == ["data", "check", "ROOT", "--read"]
    assert command_of(["data", "chek"]) is None and command_of(["train", "--out"]) == "train"
    assert OPTION.findall("train --resume --data.root x --out-of") == ["--resume", "--data.root", "--out-of"]


def test_the_readme_has_its_two_commands() -> None:
    makefile = text_of("Makefile")
    lines = [code.partition("#")[0].strip() for code in codes_of(text_of("README.md"))]
    for target in ("demo", "test"):
        assert f"make {target}" in lines
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_sentences_of_the_readme_are_short() -> None:
    prose = re.sub(r"```.*?```", "", text_of("README.md"), flags=re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "    ", "#"))]
    text = re.sub(r"\]\([^)]*\)", "]", "\n".join(lines)).replace("\n- ", "\n\n")
    sentences = re.split(r"(?<=[.:!?])\s+|\n\s*\n", text)
    assert len(sentences) > 30
    assert [sentence for sentence in sentences if len(sentence.split()) > 30] == []


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_tables_fit_on_a_screen(page: str) -> None:
    rows = [line for line in text_of(page).splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert [line for line in rows if line.strip("|").count("|") >= WIDEST] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "docs/datasets.md", "docs/runs.md", "docs/training.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    folders = [REPOSITORY / name for name in ("src", "tests", "benchmarks")]
    ours = [path.as_posix() for folder in folders for path in folder.rglob("*.py")]
    named = {code for code in codes_of(text_of(page)) if re.fullmatch(r"[\w/]+\.py", code)}
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in ours)] == []


def test_the_floors_are_modules() -> None:
    table = text_of("docs/architecture.md").partition("## Floors")[2].partition("\n\nThe same test")[0]
    details = text_of("docs/architecture.md").partition("### Inside the larger floors")[2].partition("\n## ")[0]
    named = {code for code in codes_of(table + details) if re.fullmatch(r"[a-z][a-z_0-9]*", code)}
    assert len(details.splitlines()) > 10
    modules = {path.stem for path in (REPOSITORY / "src/m3att").rglob("*") if path.suffix == ".py" or path.is_dir()}
    assert named - modules == set()
    layers = re.findall(r'"(.+)"', text_of("pyproject.toml").partition("layers = [")[2].partition("]")[0])
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert [re.findall(r"`(\w+)`", row) for row in rows] == [re.findall(r"\w+", layer) for layer in layers]


def test_every_letter_of_a_shape_is_explained() -> None:
    legend = text_of("docs/architecture.md").partition("### Letters")[2].partition("\n## ")[0]
    explained = set("".join(re.findall(r"^\| ([A-Z](?:, [A-Z])*) \|", legend, re.MULTILINE)))
    used: dict[str, str] = {}
    for path in (REPOSITORY / "src/m3att").rglob("*.py"):
        for name, suffix in re.findall(r"\b([a-z][a-z0-9_]*_([A-Z][A-Z0-9]*))\b", path.read_text(encoding="utf-8")):
            used |= dict.fromkeys(suffix, f"{name} in {path.name}")
    assert {letter: name for letter, name in used.items() if not letter.isdigit() and letter not in explained} == {}
    assert explained - {*used, ",", " "} == set()  # and none too many
