"""Which answers a page shows."""

from __future__ import annotations

from m3att.report.answers import Answer
from m3att.report.pictures import best_median_worst, failures_by_kind, spread_out


def answer(image: int, position: int, iou: float, kind: str = "right") -> Answer:
    return Answer(image, position, image, 0, "it", (), 0, 1, iou, 0.5, kind, {})


ANSWERS = [answer(image, position, (2 * image + position) / 10) for image in range(5) for position in range(2)]


def test_best_median_and_worst_are_of_different_images() -> None:
    found = {name: [(one.image, one.iou) for one in some] for name, some in best_median_worst(ANSWERS, 2).items()}
    assert found == {"best": [(4, 0.9), (3, 0.7)], "median": [(2, 0.4), (1, 0.3)], "worst": [(0, 0.0), (1, 0.2)]}
    assert best_median_worst([], 2) == {"best": [], "median": [], "worst": []}


def test_images_repeat_only_where_there_are_too_few() -> None:
    assert [(one.image, one.position) for one in spread_out(ANSWERS[:3], 3)] == [(0, 0), (1, 0), (0, 1)]
    assert len(spread_out([ANSWERS[0]] * 3, 3)) == 1


def test_failures_are_grouped_with_the_most_frequent_kind_first() -> None:
    kinds = ["right", "nothing", "several", "several", "several"]
    answers = [answer(image, 0, 0.1, kind) for image, kind in enumerate(kinds)]
    found = failures_by_kind(answers, 2)
    assert {kind: [one.image for one in some] for kind, some in found.items()} == {"several": [2, 3], "nothing": [1]}
    assert list(found) == ["several", "nothing"]
