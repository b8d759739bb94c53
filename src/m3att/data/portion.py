"""A part of a large data set that is another one in each epoch."""

from __future__ import annotations

from collections.abc import Iterator

from m3att.data.held_out import ChosenImages
from m3att.data.source import Source


class Portion(ChosenImages):
    """So many images of a source in each epoch, one after the other through the whole.

    So a small data set can be trained on beside a large one, without being lost in it, and the large one is seen as a
    whole in the course of many epochs.

    Args:
        whole: the source.
        count: images of an epoch; more than the source has repeat them.
        epoch: number of the epoch.
    """

    def __init__(self, whole: Source, count: int, epoch: int = 0) -> None:
        images = [(epoch * count + number) % len(whole) for number in range(count)]
        super().__init__(whole, images, "")
        self.count = count

    def at_epoch(self, epoch: int) -> Portion:
        """See Source."""
        return Portion(self.whole.at_epoch(epoch), self.count, epoch)

    def texts(self) -> Iterator[str]:
        """Those of the whole, as each of its images comes up; of drawn scenes their list of words."""
        yield from self.whole.texts() if self.whole.lexicon is None else self.whole.lexicon
