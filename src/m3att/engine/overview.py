"""What a run will do, in a few lines: its data, words and length, and its settings without effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from m3att.config import RunConfig
from m3att.data.open import ENDLESS
from m3att.data.order import TrainingOrder
from m3att.data.source import Source
from m3att.data.text import Tokenizer
from m3att.engine.checkpoint import Position
from m3att.engine.optim import learning_rate_at
from m3att.engine.start import Start
from m3att.errors import counted

SHOWN_WORDS = 8
SHOWN_NOTES = 5


def overview(
    config: RunConfig,
    source: Source,
    validation: Source,
    start: Start,
    steps: int,
    position: Position,
    old: Source | None = None,
) -> list[str]:
    """The lines that a training begins with.

    Args:
        config: of the run.
        source: the training split.
        validation: the split that is validated on.
        start: words and network.
        steps: of the whole run.
        position: where the run stands.
        old: the part of `data.old` that is validated on.
    """
    origins = list(dict.fromkeys(origin for origin in (source.origin, validation.origin) if origin))
    limit = config.train.validate_images
    return [
        "; ".join([f"data: {config.data.dataset}", *origins, f"pixels: {source.pixels}"]),
        f"train: {split_text(source, start.tokenizer, config.data.images, 'data.images')}",
        f"validation on {config.data.split if validation.stated_split else 'the same, as the data state no split'}: "
        + split_text(validation, start.tokenizer, limit, "train.validate_images"),
        *(
            [f"validation on old data: {split_text(old, start.tokenizer, limit, 'train.validate_images')}"]
            if old is not None
            else []
        ),
        f"vocabulary: {vocabulary_text(config, start)}",
        f"run: {length_text(config, source, steps, position)}",
        *(f"note: {note}" for note in idle_phases(config, steps)),
        *(f"note: {note}" for note in oddities([source, validation, *([old] if old is not None else [])])),
    ]


def oddities(sources: Sequence[Source]) -> list[str]:
    """What is odd about the files, though no expression is lost by it: the first notes, and how many more there are.

    Args:
        sources: that may read the same files.
    """
    notes = list(dict.fromkeys(note for source in sources for note in source.notes))
    rest = len(notes) - SHOWN_NOTES
    return notes[:SHOWN_NOTES] + ([f"{rest:,} more notes like these"] if rest > 0 else [])


def split_text(source: Source, tokenizer: Tokenizer, limit: int | None, setting: str) -> str:
    """What a split holds.

    Args:
        source: the split.
        tokenizer: the run's words.
        limit: most images of it that are read.
        setting: what sets the limit.
    """
    if len(source) >= ENDLESS:
        return "scenes drawn without end"
    if source.lexicon is not None:  # to count its expressions is to draw its scenes
        return f"{counted(len(source), 'scene')} drawn"
    used = len(source) if limit is None else min(limit, len(source))
    images = counted(used, "image")
    if used < len(source):
        images = f"the first {used:,} of {counted(len(source), 'image')} ({setting})"
    expressions = sum(len(group) for index in range(used) for group in source.expression_groups(index))
    found = tokenizer.coverage(source.texts())
    entries = sum(fault.entries for fault in source.faults)
    more = [
        f"{count:,} {text}"
        for count, text in (
            (source.no_targets, "without a target"),
            (source.boxed, "with a box and no mask"),
            (found.cut, f"cut at {tokenizer.word_limit} words"),
            (found.partly_unknown, "with unknown words"),
            (found.unknown, "without a known word"),
            (entries, "left out when the files were opened"),
        )
        if count
    ]
    which = f"in the whole split of {found.expressions:,}" if used < len(source) else "of these"
    whole = f"; {which}: {', '.join(more)}" if more else ""
    return f"{images}, {counted(expressions, 'expression')}{whole}"


def vocabulary_text(config: RunConfig, start: Start) -> str:
    """Where the words come from, and what a model that the run starts from does not know."""
    words, new, known, init = start.tokenizer.size, start.new_words, start.known, config.train.init
    if known is None:
        return counted(words, "word")
    text = f"{counted(words - len(new), 'word')} of {init}"
    if new:
        shown = ", ".join(new[:SHOWN_WORDS]) + (" ..." if len(new) > SHOWN_WORDS else "")
        text += f" and {len(new):,} new: {shown}; --train.new_words false leaves them out"
    if known.unknown or known.partly_unknown:
        text += f"; {init} knows no word of {known.unknown:,} of {counted(known.expressions, 'training expression')}"
    if known.partly_unknown:
        text += f", and not every word of {known.partly_unknown:,} others"
    return text


def length_text(config: RunConfig, source: Source, steps: int, position: Position) -> str:
    """How long the run is, and what decided that.

    Args:
        config: of the run.
        source: the training split.
        steps: of the whole run.
        position: where the run stands.
    """
    settings = config.train
    begun = f", {position.step:,} of them done" if position.step else ""
    text = f"{counted(steps, 'step')} of up to {counted(settings.batch_size, 'expression')}{begun}"
    if settings.steps is not None and source.lexicon is not None:
        return f"{text}, as train.steps says"
    batches = counted(len(TrainingOrder(source, settings.batch_size, config.data, settings.seed, 0)), "step")
    if settings.steps is None:
        return f"{text}, as train.epochs says: {settings.epochs:g} of {batches} each"
    return f"{text}, as train.steps says; an epoch has {batches}"


def idle_phases(config: RunConfig, steps: int) -> Iterator[str]:
    """Phases of a run that it does not come to, one line each."""
    settings = config.train
    if settings.early_steps and settings.early_steps[-1] >= steps:
        yield (
            f"the run ends at step {steps:,} and train.early_sizes {list(settings.early_sizes)} last until step "
            f"{settings.early_steps[-1]:,}: it never reaches input.size {config.input.size}"
        )
    validations = -(-steps // settings.validate_every)
    if settings.patience >= validations:
        times = counted(validations, "time")
        yield f"train.patience {settings.patience:,} has no effect: the run validates {times} in all"
    late = [at for at in settings.restarts if at >= steps]
    if late:
        yield f"train.restarts {late} have no effect: the run ends at step {steps:,}"
    if settings.warmup >= steps:
        highest = learning_rate_at(steps - 1, steps, settings)
        yield (
            f"train.warmup {settings.warmup:,} is not over when the run ends: the learning rate comes to {highest:.3g} "
            f"of {settings.learning_rate:g}"
        )


def early_end(position: Position, steps: int) -> list[str]:
    """Why a training ended before its last step, in one line; empty where it did not.

    Args:
        position: where it ended.
        steps: of the whole run.
    """
    if position.step >= steps:
        return []
    return [
        f"stopped early at step {position.step:,} of {steps:,}: the last {counted(position.stale, 'validation')} had "
        f"no better mean IoU than {position.best_mean_iou:.3f}, as train.patience says"
    ]


def ended_before(position: Position, steps: int, patience: int) -> list[str]:
    """Why a run that is resumed trains nothing, in one line; empty where it goes on.

    Args:
        position: of its checkpoint.
        steps: of the whole run.
        patience: see `Position.has_ended`.
    """
    if not position.has_ended(steps, patience):
        return []
    early = early_end(position, steps)
    why = f"{early[0]}; a larger --train.patience goes on" if early else f"all its {counted(steps, 'step')} are done"
    return [f"note: the run has ended already, and nothing is trained: {why}"]
