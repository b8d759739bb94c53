"""What an expression asks for, told by its words."""

from __future__ import annotations

from m3att.report.skills import NO_SKILL, skills_of


def test_skills_are_told_by_words() -> None:
    assert skills_of("Second guy from left, red shirt") == ("place", "order", "colour", "clothing", "person word")
    assert skills_of("the one that isn't big") == ("size", "negation")
    assert skills_of("zebra") == (NO_SKILL,)
    assert skills_of("redwood topping") == (NO_SKILL,)  # whole words only
