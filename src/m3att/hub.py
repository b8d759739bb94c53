"""A model as a folder to share, and on the Hugging Face Hub, with a card written from its run and its scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

from m3att.config import DataConfig, RunConfig
from m3att.errors import DataError, ModelError, shown
from m3att.files import replace_file
from m3att.model_folder import BUNDLED
from m3att.pretrained import Pretrained, save_model

CARD = "README.md"
LICENSE = "apache-2.0"
"""Of the code and of the bundled weights."""
PAPER = (
    "Multi-Modal Mutual Attention and Iterative Interaction for Referring Image Segmentation (Liu, Ding, Zhang, Jiang)"
)
_FIGURES = {"overall_iou": "overall IoU", "mean_iou": "mean IoU", "precision_0.5": "Pr@0.5"}

Scores = Mapping[str, Any]
"""What `m3att evaluate --json` wrote."""


def save_pretrained(
    pretrained: Pretrained, folder: Path, scores: Sequence[Path] = (), license: str | None = None
) -> None:
    """Write a model folder with a card. It names no folder of this machine.

    Args:
        pretrained: the model.
        folder: made where it is missing.
        scores: files that `m3att evaluate --json` wrote about this model.
        license: identifier of the licence of the weights, such as `cc-by-nc-4.0`. None: that of a bundled model; else
            the card states none.

    Raises:
        DataError: if a file of scores cannot be read, or is of other weights.
        ModelError: if the folder cannot be written.
    """
    if license is None and pretrained.folder.parent == BUNDLED:
        license = LICENSE
    card = write_card(pretrained, [read_scores(path, pretrained) for path in scores], license)
    data = portable(pretrained.config.data)
    config = replace(pretrained.config, data=data)
    try:
        save_model(folder, pretrained.network, pretrained.tokenizer, config, pretrained.world, pretrained.calibration)
        replace_file(folder / CARD, card.encode())
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written ({error.strerror or error})") from error


def push_to_hub(
    pretrained: Pretrained,
    repository: str,
    scores: Sequence[Path] = (),
    license: str | None = None,
    private: bool = False,
    token: str | None = None,
    message: str = "Upload a model of m3att",
) -> str:
    """Upload what `save_pretrained` writes, in one commit.

    Args:
        pretrained: the model.
        repository: `owner/name` on the Hub; made where it is missing.
        scores: see save_pretrained.
        license: see save_pretrained.
        private: whether a new repository is private.
        token: of an account that may write there. None: the one of `hf auth login`.
        message: of the commit.

    Returns:
        The address of the commit.

    Raises:
        DataError: as save_pretrained.
        ModelError: if the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The base of the Hub's errors is what its HTTP library raises without an answer; the library is another one from
    # release to release.
    refusals: tuple[type[BaseException], ...] = (*HfHubHTTPError.__bases__, HFValidationError, ValueError)
    api = HfApi(token=token, library_name="m3att")
    with TemporaryDirectory() as folder:
        save_pretrained(pretrained, Path(folder), scores, license)
        try:
            found = api.create_repo(repository, private=private, exist_ok=True)
            commit = api.upload_folder(repo_id=found.repo_id, folder_path=folder, commit_message=message)
        except refusals as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ModelError(f"{repository}: the Hub did not take the model ({reason})") from error
    return str(commit.commit_url)


def read_scores(path: Path, pretrained: Pretrained) -> Scores:
    """The figures of a file that `m3att evaluate --json` wrote.

    Args:
        path: the file.
        pretrained: the model that it should be about.

    Raises:
        DataError: if it cannot be read, or is of other weights.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        weights, _ = values["weights_sha256"], [*figures_table([values]), *eval_results(values)]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, KeyError, TypeError):
        raise DataError(f"{path}: not a file of m3att evaluate --json") from None
    if weights != pretrained.weights_sha256():
        raise DataError(f"{path}: scores of other weights ({shown(weights, 16)}); score this model and give that file")
    found: Scores = values
    return found


def portable(data: DataConfig) -> DataConfig:
    """Settings of data without the folders of this machine; of files their names remain."""

    def names(paths: Sequence[str]) -> tuple[str, ...]:
        return tuple(PurePath(path).name for path in paths)

    return replace(
        data, root=None, image_root=None, cutouts=names(data.cutouts), beside=names(data.beside), old=names(data.old)
    )


def write_card(pretrained: Pretrained, scores: Sequence[Scores], license: str | None) -> str:
    """The model card, with its metadata for the Hub.

    Args:
        pretrained: the model.
        scores: of this model; none if it has not been scored.
        license: of the weights; None if it is not stated.

    Returns:
        Markdown under a header of YAML.
    """
    from huggingface_hub import ModelCardData

    name = PurePath(pretrained.name).name or "m3att"
    data = ModelCardData(
        license=license,
        library_name="m3att",
        pipeline_tag="image-segmentation",
        tags=["referring-image-segmentation", "referring-expression-segmentation", "m3att"],
        model_name=name,
        eval_results=[result for one in scores for result in eval_results(one)] or None,
    )
    lines = [line for section in (intro(pretrained, name), trained_on(pretrained.config)) for line in section]
    lines += ["", "## Figures", "", *figures_table(scores), "", "## Licence", ""]
    lines += [f"The weights: `{license}`." if license else "The licence of the weights is not stated."]
    lines += ["The data sets have licences of their own. The code of m3att: `apache-2.0`."]
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(lines) + "\n"


def intro(pretrained: Pretrained, name: str) -> Iterator[str]:
    """What the model is and how to use it, in lines of Markdown."""
    yield from (f"# {name}", "")
    yield "Referring image segmentation: an image and an expression in, the mask of the object that it names out."
    yield f"A network of the paper *{PAPER}*, trained with m3att."
    yield from ("", f"It knows {pretrained.world or 'photos'}.", "")
    yield from ("```python", "from m3att import Segmenter", "")
    yield 'segmenter = Segmenter.from_pretrained("OWNER/NAME")  # this repository, or a folder'
    yield 'segmenter.encode("park.jpg").segment(["the person on the left"])[0].overlay().save("out.png")'
    yield "```"


def trained_on(config: RunConfig) -> Iterator[str]:
    """The data and settings of the run, in lines of Markdown."""
    data, model, train = portable(config.data), config.model, config.train
    yield from (
        "",
        "## Data",
        "",
        f"- data set: {data.dataset}" + (f", split by {data.split_by}" if data.split_by else ""),
    )
    yield f"- pictures: {data.pixels}"
    if data.cutouts:
        yield f"- objects cut out of: {', '.join(data.cutouts)}"
    if data.beside:
        yield f"- also trained on: {', '.join(data.beside)}"
    yield from ("", "## Training", "", f"- vision encoder: {model.vision.encoder}")
    yield f"- language encoder: {model.language.encoder}"
    yield f"- input: {config.input.size} x {config.input.size} pixels, {config.input.resize}"
    yield f"- steps: {train.steps}, of {train.batch_size} expressions; learning rate {train.learning_rate}"
    yield "- all settings: `config.json`"


def figures_table(scores: Sequence[Scores]) -> Iterator[str]:
    """The figures, as the rows of a Markdown table; a sentence if there are none."""
    if not scores:
        yield "This model has not been scored."
        return
    yield "| data | protocol | threshold | expressions | overall IoU | mean IoU | Pr@0.5 |"
    yield "|---|---|---|---|---|---|---|"
    for one in scores:
        data = f"{one['dataset']} {one['split']}" + (f", {one['pixels']}" if one.get("pixels") else "")
        cells = [data, one["protocol"], one.get("threshold", ""), one.get("expressions", "")]
        cells += [f"{100 * value:.1f}" for value in (one["overall_iou"], one["mean_iou"], one["precision"]["0.5"])]
        yield f"| {' | '.join(map(str, cells))} |"
    yield ""
    yield "In per cent, from `m3att evaluate --json`. Overall IoU is the sum of all intersections over the sum of all"
    yield "unions. Mean IoU is the average over expressions. Pr@0.5 is the share of expressions with an IoU over 0.5."


def eval_results(scores: Scores) -> Iterator[Any]:
    """The figures of one evaluation as the Hub's metadata knows them."""
    from huggingface_hub import EvalResult

    values = {"overall_iou": scores["overall_iou"], "mean_iou": scores["mean_iou"]}
    values["precision_0.5"] = scores["precision"]["0.5"]
    for metric, value in values.items():
        yield EvalResult(
            task_type="image-segmentation",
            task_name="Referring image segmentation",
            dataset_type=str(scores["dataset"]),
            dataset_name=str(scores["dataset"]),
            dataset_split=str(scores["split"]),
            metric_type=metric,
            metric_name=f"{_FIGURES[metric]} (protocol {scores['protocol']})",
            metric_value=round(float(value), 4),
        )
