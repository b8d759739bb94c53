"""`m3att serve`: the page and the JSON service."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from m3att.app.console import CommandParser, printable
from m3att.errors import ConfigError
from m3att.serve.limits import Limits

MODELS = ("photo", "shaperef-tiny")
LIMITS = {
    # option: its lowest and highest value, and what it limits
    "megabytes": (0.001, 1000.0, "largest image file in megabytes"),
    "megapixels": (0.0001, 175.0, "largest image in millions of pixels"),
    "expressions": (1, 10_000, "most expressions in a request"),
    "queue": (1, 100_000, "most requests that wait or run at the same time"),
    "seconds": (0.1, 86_400.0, "most seconds for one request"),
    "cache": (0.0, 1e6, "megabytes of image files and of encoded images that are kept"),
}


def serve(words: Sequence[str], prog: str) -> int:
    """`m3att serve`."""
    parser = CommandParser(
        prog,
        "Serve a web page and a JSON service. Both take a photo and expressions, and return the masks. See "
        "docs/serving.md.",
    )
    parser.add_argument(
        "--model",
        nargs="+",
        default=list(MODELS),
        metavar="MODEL",
        help="the models that users can choose, the default one first: bundled models, folders or Hub ids; "
        "NAME=FOLDER gives a folder a name "
        f"(default: {' '.join(MODELS)})",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: %(default)s, which only this machine reaches)",
    )
    parser.add_argument(
        "--port", type=int, default=7860, help="port to listen at; 0: any free port (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda or auto (default: %(default)s)")
    parser.add_argument(
        "--backend",
        choices=("auto", "pytorch", "onnx"),
        default="auto",
        help="what runs the models; onnx needs models with an ONNX form and cannot show the attention of words "
        "(default: %(default)s: pytorch, except for a folder that holds only an exported model)",
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that run the models "
        "(default: %(default)s)"
    )  # fmt: skip
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with a secret token that every request must carry (default: the environment variable "
        "M3ATT_TOKEN, or no token)",
    )
    for name, (low, _, text) in LIMITS.items():
        default = getattr(Limits, name)
        parser.add_argument(f"--{name}", type=type(low), default=default, help=f"{text} (default: {default:g})")
    given = parser.parse_args(words)
    for name, (low, high, _) in {**LIMITS, "workers": (1, 256, ""), "port": (0, 65_535, "")}.items():
        value = getattr(given, name)
        if not low <= value <= high:
            parser.error(f"--{name} {value:g} is out of range, give {low:g} to {high:g}")
    models = name_models(given.model)
    token = read_token(given.token_file)

    from m3att.extras import require

    for module in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
        require(module, "serve", "m3att serve")

    from m3att.serve.server import is_loopback, run_server

    if token is None and not is_loopback(given.host):
        advice = "a token (--token-file) keeps others out"
        print(f"m3att: note: whoever reaches {printable(given.host)} may use this service; {advice}", file=sys.stderr)
    limits = Limits(**{name: getattr(given, name) for name in LIMITS})
    return run_server(models, given.device, given.backend, given.host, given.port, given.workers, limits, token)


def name_models(given: Sequence[str]) -> dict[str, str]:
    """The name of each model on the page, and the model itself. A name shows no path of this machine.

    Raises:
        ConfigError: where two have one name.
    """
    from m3att.model_folder import DEFAULT_MODEL

    models: dict[str, str] = {}
    for word in given:
        name, sign, model = word.partition("=")
        if not sign or Path(word).exists():
            model = word
            path = Path(word)
            name = DEFAULT_MODEL if word == "bundled" else path.resolve().name if path.exists() else word
            if name in ("best", "last") and path.exists():
                name = f"{path.resolve().parent.name}-{name}"
        if not name or not model:
            raise ConfigError(f"--model {word}: give a model, or NAME=FOLDER")
        if models.get(name, model) != model:
            raise ConfigError(f"--model: two models are called {name}; give one another name: NAME={model}")
        models[name] = model
    return models


def read_token(path: Path | None) -> str | None:
    """The token that requests must bring; None where there is none.

    Raises:
        ConfigError: where it is empty, or no request could bring it.
    """
    if path is None:
        token, where = os.environ.get("M3ATT_TOKEN", ""), "the environment variable M3ATT_TOKEN"
        if not token:
            return None
    else:
        where = f"--token-file {path}"
        try:
            token = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ConfigError(f"{where}: is no text") from None
        except OSError as error:
            raise ConfigError(f"{where}: cannot be read ({error.strerror})") from error
    token = token.strip()
    if not token:
        raise ConfigError(f"{where}: is empty")
    if not all("!" <= letter <= "~" for letter in token):
        raise ConfigError(
            f"{where}: a header of HTTP cannot carry this token; use one word of letters, digits and signs of ASCII"
        )
    return token
