"""Words and tokenizers: training, evaluation and prediction use the same tokenizer file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding, Regex, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as FastTokenizer

from m3att.errors import ExpressionError, ModelError

if TYPE_CHECKING:  # counting words needs no PyTorch
    from torch import Tensor

PADDING, UNKNOWN = "[PAD]", "[UNK]"
START, END = "[CLS]", "[SEP]"
SPECIAL = (PADDING, UNKNOWN, START, END)
# The spelling of RoBERTa and related encoders. BERT-like encoders use no other.
PADDINGS, UNKNOWNS = (PADDING, "<pad>"), (UNKNOWN, "<unk>")
WORD = r"\w+(?:['’]\w+)?"  # within ASCII
# Scripts that set no spaces between words: each of their letters is a word, with the marks that belong to it.
UNSPACED = ("Han", "Hiragana", "Katakana", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Tai_Tham")
# The sound mark of Japanese lengthens the letter before it; the two shared letters have no script of their own.
_UNSPACED = "".join(rf"\p{{{script}}}" for script in UNSPACED) + "ー〆"
ANY_WORD = rf"[\w&&[{_UNSPACED}]][\p{{M}}ー]*|[\w&&[^{_UNSPACED}]]+(?:['’][\w&&[^{_UNSPACED}]]+)?"


_AT_ONCE = 4096  # expressions that are counted together


@dataclass(frozen=True)
class Words:
    """N tokenized expressions.

    Args:
        word_ids_NL: int64, L the longest of them.
        word_mask_NL: bool, True = a real word.
        cut: how many expressions were longer than the limit.
        partly_unknown: how many hold a word that the vocabulary does not have, beside others.
        unknown: how many hold no word that the vocabulary has.
    """

    word_ids_NL: Tensor
    word_mask_NL: Tensor
    cut: int
    partly_unknown: int = 0
    unknown: int = 0


class Coverage(NamedTuple):
    """How much of some expressions a vocabulary has.

    Args:
        expressions: how many there are.
        cut: how many are longer than the word limit.
        partly_unknown: how many hold a word that the vocabulary does not have, beside others.
        unknown: how many hold no word that the vocabulary has.
    """

    expressions: int = 0
    cut: int = 0
    partly_unknown: int = 0
    unknown: int = 0


class WordArrays(NamedTuple):
    """N tokenized expressions as arrays.

    Args:
        word_ids_NL: L the longest of them.
        word_mask_NL: True = a real word.
        coverage: how much of them the vocabulary has.
    """

    word_ids_NL: NDArray[np.int64]
    word_mask_NL: NDArray[np.bool_]
    coverage: Coverage


class Tokenizer:
    """Reads a tokenizer file and turns expressions into word ids.

    Args:
        tokenizer: what the file holds; its vocabulary has ``[PAD]`` and ``[UNK]``, or ``<pad>`` and ``<unk>``.
        word_limit: most words of an expression, word pieces where the tokenizer splits words; what is longer is cut,
            and counted.
    """

    def __init__(self, tokenizer: FastTokenizer, word_limit: int) -> None:
        self.tokenizer, self.word_limit = tokenizer, word_limit
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # "[SEP]" in an expression is text that somebody wrote
        padding, unknown = (first_id(tokenizer, names) for names in (PADDINGS, UNKNOWNS))
        if padding is None or unknown is None:
            raise ModelError(f"the tokenizer has no {PADDING} or no {UNKNOWN}: it is not one of this project")
        highest = max(tokenizer.get_vocab().values())
        if highest >= self.size:
            raise ModelError(f"the tokenizer numbers {self.size} words up to {highest}: numbers are left out")
        try:
            tokenizer.encode("\N{CJK UNIFIED IDEOGRAPH-9F98}")  # a rare word must become the unknown word
        except Exception as error:  # the library raises bare Exception
            raise ModelError(f"the tokenizer cannot read a word that it does not know ({error})") from error
        self.padding_id: int = padding
        self.unknown_id: int = unknown

    @classmethod
    def from_file(cls, path: Path, word_limit: int) -> Tokenizer:
        """The tokenizer of a ``tokenizer.json``.

        Raises:
            ModelError: where the file is missing or is no tokenizer file.
        """
        if not path.is_file():
            raise ModelError(f"{path}: no such tokenizer file")
        try:
            tokenizer = FastTokenizer.from_file(str(path))
        except Exception as error:  # the library raises bare Exception for each kind of foreign file
            raise ModelError(f"{path}: not a tokenizer file ({error})") from error
        try:
            return cls(tokenizer, word_limit)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error

    @classmethod
    def from_texts(cls, texts: Iterable[str], word_limit: int, minimum: int = 1, framed: bool = False) -> Tokenizer:
        """A tokenizer of whole words.

        Args:
            texts: expressions; all words that occur often enough enter, most frequent first.
            word_limit: see Tokenizer.
            minimum: times that a word must occur.
            framed: have a start and an end, as an encoder that reads [CLS] and [SEP] needs.
        """
        special = SPECIAL if framed else SPECIAL[:2]
        words = most_frequent(count_words(any_words(), texts), minimum)
        vocabulary = {word: number for number, word in enumerate((*special, *words))}
        made = word_tokenizer(vocabulary)
        if framed:
            made.post_processor = processors.BertProcessing((END, vocabulary[END]), (START, vocabulary[START]))
        return cls(made, word_limit)

    @property
    def size(self) -> int:
        """Words of the vocabulary, padding and unknown included."""
        return int(self.tokenizer.get_vocab_size())

    @property
    def frame(self) -> tuple[int, int]:
        """Ids of the start and the end that an encoder reads around an expression; they are not part of `Words`.

        Raises:
            ModelError: where the tokenizer puts anything else around it.
        """
        ids = self.tokenizer.encode("", add_special_tokens=True).ids
        if len(ids) != 2:
            raise ModelError(f"the tokenizer puts {len(ids)} marks around an expression, where BERT's puts two")
        return ids[0], ids[1]

    def save(self, path: Path) -> None:
        """Write the tokenizer file."""
        path.write_text(self.tokenizer.to_str(pretty=True), encoding="utf-8")

    def __call__(self, expressions: Sequence[str]) -> Words:
        """Tokenize N expressions.

        Raises:
            ExpressionError: where one holds no word at all.
        """
        import torch

        found = self.arrays(expressions)
        return Words(torch.from_numpy(found.word_ids_NL), torch.from_numpy(found.word_mask_NL), *found.coverage[1:])

    def arrays(self, expressions: Sequence[str]) -> WordArrays:
        """Tokenize N expressions without PyTorch.

        Raises:
            ExpressionError: where one holds no word at all.
        """
        encodings = self.tokenizer.encode_batch([encodable(text) for text in expressions], add_special_tokens=False)
        rows = [encoding.ids[: self.word_limit] for encoding in encodings]
        for text, row in zip(expressions, rows, strict=True):
            if not row:
                raise ExpressionError(f"expression {text!r} holds no word: say what to segment, as in 'the red car'")
        longest = max(map(len, rows))
        ids_NL = np.full((len(rows), longest), self.padding_id, dtype=np.int64)
        for number, row in enumerate(rows):
            ids_NL[number, : len(row)] = row
        lengths_N1 = np.array([len(row) for row in rows])[:, None]
        mask_NL = np.arange(longest)[None] < lengths_N1
        return WordArrays(ids_NL, mask_NL, self._count(encodings))

    def coverage(self, texts: Iterable[str]) -> Coverage:
        """How much of some expressions the vocabulary has; those that hold no word at all count as known."""
        total = Coverage()
        every = iter(texts)
        while batch := [encodable(text) for text in islice(every, _AT_ONCE)]:
            found = self._count(self.tokenizer.encode_batch(batch, add_special_tokens=False))
            total = Coverage(*map(sum, zip(total, found, strict=True)))
        return total

    def _count(self, encodings: Sequence[Encoding]) -> Coverage:
        cut = sum(len(encoding.ids) > self.word_limit for encoding in encodings)
        # Only the words that the network reads: words beyond the limit do not count.
        unknown = [[number == self.unknown_id for number in one.ids[: self.word_limit]] for one in encodings]
        some, every = sum(map(any, unknown)), sum(bool(row) and all(row) for row in unknown)
        return Coverage(len(encodings), cut, some - every, every)

    def extended(self, texts: Iterable[str], minimum: int = 1) -> Tokenizer:
        """This tokenizer with the words of some expressions that it does not have, after those that it has.

        Scripts without spaces are split into letters then, unless the vocabulary has words that this would split. A
        tokenizer of word pieces knows every word in pieces and stays as it is; so does one that has all words.

        Args:
            texts: the expressions; new words enter most frequent first.
            minimum: times that a word must occur.
        """
        if not isinstance(self.tokenizer.model, models.WordLevel):
            return self
        plain = json.loads(self.tokenizer.to_str())
        vocabulary: dict[str, int] = plain["model"]["vocab"]
        if all(words_in(word) == [word] for word in vocabulary if word not in SPECIAL):
            plain["pre_tokenizer"] = json.loads(any_words().to_str())["pre_tokenizer"]
        counts = count_words(FastTokenizer.from_str(json.dumps(plain)), texts)
        new = [word for word in most_frequent(counts, minimum) if word not in vocabulary]
        if not new:
            return self
        start = max(self.tokenizer.get_vocab().values()) + 1
        vocabulary |= {word: number for number, word in enumerate(new, start=start)}
        return Tokenizer(FastTokenizer.from_str(json.dumps(plain)), self.word_limit)

    def words_after(self, count: int) -> list[str]:
        """The words whose ids are ``count`` or higher, in the order of their ids."""
        words = sorted((number, word) for word, number in self.tokenizer.get_vocab().items() if number >= count)
        return [word for _, word in words]

    def unknown_words(self, expression: str) -> tuple[str, ...]:
        """The words of an expression that the vocabulary does not have, as they stand in it."""
        encoding = self.tokenizer.encode(encodable(expression), add_special_tokens=False)
        spans = zip(encoding.ids, encoding.offsets, strict=True)
        return tuple(expression[start:end] for number, (start, end) in spans if number == self.unknown_id)

    def count_words(self, expression: str) -> int:
        """Words of an expression, before the limit."""
        return len(self.tokenizer.encode(encodable(expression), add_special_tokens=False).ids)


def first_id(tokenizer: FastTokenizer, names: Sequence[str]) -> int | None:
    """Id of the first of some words that the vocabulary has."""
    return next((found for name in names if (found := tokenizer.token_to_id(name)) is not None), None)


def word_tokenizer(vocabulary: dict[str, int]) -> FastTokenizer:
    """Whole words in lower case, single letters of scripts without spaces; what stands between them is dropped."""
    tokenizer = FastTokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    # Phones and editors type the curly apostrophe: "isn’t" is the word "isn't".
    apostrophe = normalizers.Replace("’", "'")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), apostrophe, normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(ANY_WORD), behavior="removed", invert=True)
    return tokenizer


def encodable(text: str) -> str:
    """The text with a question mark for each half of a broken character, as command lines of other encodings give."""
    return text.encode("utf-8", "replace").decode("utf-8")


def words_in(text: str) -> list[str]:
    """The words of a text by the rules of `word_tokenizer`, which a regular expression follows only within ASCII.

    Elsewhere Python knows letters apart from the marks on them, and takes other numerals for words.
    """
    if text.isascii():
        return re.findall(WORD, text.lower())
    return split_words(any_words(), encodable(text))


def count_words(tokenizer: FastTokenizer, texts: Iterable[str]) -> Counter[str]:
    """How often each word of some texts occurs, as the tokenizer's own rules split them."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(tokenizer, encodable(text)))
    return counts


def most_frequent(counts: Counter[str], minimum: int) -> list[str]:
    """The words that occur often enough, most frequent first, then by their letters."""
    return sorted((word for word, count in counts.items() if count >= minimum), key=lambda word: (-counts[word], word))


def split_words(tokenizer: FastTokenizer, text: str) -> list[str]:
    """The words of a text as the tokenizer's own rules split them, known or not."""
    normal = tokenizer.normalizer.normalize_str(text)
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]


@cache
def any_words() -> FastTokenizer:
    """A tokenizer that splits words of every script and knows none; made on first use, as predicting needs none."""
    return word_tokenizer({PADDING: 0, UNKNOWN: 1})
