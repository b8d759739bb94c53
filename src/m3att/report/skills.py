"""What an expression asks for, told by its words, for data sets that do not say it themselves."""

from __future__ import annotations

import re

_WORDS = {
    "place": r"left\w*|right\w*|top|bottom|upper|lower|middle|cent(er|re)|front|back|background|corner|far\w*|near\w*|"
    r"clos\w+|edge|side",
    "order": r"first|second|third|fourth|fifth|last|1st|2nd|3rd|4th|5th|\w+th from",
    "colour": r"black|white|gr[ae]y|red|orange|yellow|green|blue|purple|pink|brown|tan|beige|dark|blond\w*|light|gold",
    "clothing": r"shirts?|t-?shirts?|jackets?|coats?|hats?|caps?|dress|jeans|pants|shorts|ties?|suits?|glasses|"
    r"sweaters?|hoodies?|tops|vests?|helmets?|uniforms?|shoes|scarf|skirts?|jerseys?|stripe\w*|plaid|wearing",
    "person word": r"m[ae]n|wom[ae]n|guys?|girls?|boys?|lad(y|ies)|kids?|child\w*|person|people|mom|dad|mother|father|"
    r"bab(y|ies)|dude|player|batter|catcher|umpire|chick|female|male",
    "relation": r"next to|behind|beside|between|under|above|on|by|holding|with|near|facing|looking|sitting|standing|"
    r"touching|eating|riding|against",
    "size": r"big\w*|small\w*|large\w*|little|tall\w*|short\w*|tiny|whole|full",
    "negation": r"not|no|without|isn't|doesn't|only",
}
SKILLS = {name: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for name, words in _WORDS.items()}
NO_SKILL = "none of these"


def skills_of(expression: str) -> tuple[str, ...]:
    """What an expression asks for; NO_SKILL where it asks for nothing that is listed."""
    return tuple(name for name, words in SKILLS.items() if words.search(expression)) or (NO_SKILL,)
