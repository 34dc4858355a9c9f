"""The task `translate`: words of a source, each with its translation, in another order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from architectures.limits import check_steps, check_whole, check_width, quote
from workbench.tasks.base import Batch, Criterion, Floor
from workbench.tasks.guessing import bag_floor
from workbench.tasks.query_task import QueryTask

Order = Literal["same", "local", "reversed"]

MAX_FERTILITY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Translate(QueryTask):
    """Words of a source, then a mark, from which on the translation is asked word by word.

    Each input behind the mark is the word of the translation that was right at the step before (teacher forcing). In
    evaluation there is also an accuracy of answers that are fed back (free running).

        source   n words of a lexicon of V, n uniform in the shortest .. S, behind S - n blanks
        lexicon  word w has 1 + w mod F words of the translation, which no other word has, and one of two kinds, that
                 of the number floor(w / F) mod 2
        order    same; reversed; or local: the source falls into blocks of d + 1 words, and one whose first and last
                 word are of the same kind is translated backwards
        steps    = S + F S
        loss     = mean of -ln p(word) over the words that are asked
        trivial  = ln V / f, f the mean of 1 + w mod F: the first part may be that of any word, whatever has come
                   before, and the parts after it follow from the one before
        floors   : bag of words, who knows how often each word is in the source, but not where
        solved   : accuracy > 0.99

    `source` of a batch is the step of the word that is translated: the true alignment.

    Source: Bahdanau, Cho and Bengio (2015), arXiv 1409.0473, whose alignments of real sentences are read by eye.

    Args:
        length: S, the most words of a source.
        shortest: the fewest; S, if that is less.
        words: V, the words of the lexicon, at least 2 F.
        fertility: F, the most words that a word becomes, 1 to 16.
        order: of the translation.
        distance: d, the most steps that a word moves in a local order.
    """

    length: int = 20
    shortest: int = 5
    words: int = 32
    fertility: int = 2
    order: Order = "local"
    distance: int = 2

    def __post_init__(self) -> None:
        check_steps(length=self.length, shortest=self.shortest, distance=self.distance)
        check_whole("fertility", self.fertility, most=MAX_FERTILITY, why="no word needs more")
        check_width(2 * self.fertility, words=self.words)
        if self.order not in get_args(Order):
            raise ValueError(f"order must be one of {', '.join(get_args(Order))}, not {quote(self.order)}")
        check_steps(steps=self.steps)

    @property
    def lengths(self) -> range:
        """The numbers of words that a source may have, each as likely as any other."""
        return range(min(self.shortest, self.length), self.length + 1)

    @property
    def steps(self) -> int:
        """The number of steps, S + F S."""
        return self.length * (1 + self.fertility)

    @property
    def source_steps(self) -> int:
        """S."""
        return self.length

    @property
    def prompt(self) -> int:
        """The source and the mark."""
        return self.length + 1

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The words of the translation."""
        return sum(1 + word % self.fertility for word in range(self.words))

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """The words of the lexicon, those of the translation, the blank and the mark."""
        return self.words + self.output_size + 2

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of symbols."""
        return self.symbols

    @property
    def trivial_loss(self) -> float:
        """The logarithm of V, at the share of words that begin a translation."""
        return math.log(self.words) * self.words / self.output_size

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows how often each word is in the source, over all lengths of it."""
        if self.length == 1:
            return {}
        begins, total = self.words / self.output_size, sum(self.lengths)
        bags = [(count / total, bag_floor(count, (1 / self.words,) * self.words)) for count in self.lengths]
        known = [(share, bag.accuracy) for share, bag in bags if bag.accuracy is not None]
        accuracy = 1 - begins + begins * sum(share * right for share, right in known)
        return {
            "bag of words": Floor(
                loss=begins * sum(share * bag.loss for share, bag in bags),
                accuracy=accuracy if len(known) == len(bags) else None,
            )
        }

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def feed(self, answers: Tensor) -> Tensor:
        """Returns the symbols of answers, as inputs of the next step."""
        return self.words + answers

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws words and how many there are."""
        device, length, fertility = generator.device, self.length, self.fertility
        blank, mark = self.words + self.output_size, self.words + self.output_size + 1
        words = torch.randint(self.words, (size, length), generator=generator, device=device)
        count = torch.randint(self.lengths[0], length + 1, (size, 1), generator=generator, device=device)
        place = torch.arange(length, device=device)
        first = length - count
        # From the first word of each source on, not from its first step.
        order = self.translated_order(words, first)
        ordered, valid = words.gather(1, order), place < count
        parts = torch.where(valid, 1 + ordered % fertility, 0)
        begins = parts.cumsum(1) - parts
        # The first word of the translation of w: those of all groups before, and of its group.
        group, rest = ordered // fertility, ordered % fertility
        label = group * (fertility * (fertility + 1) // 2) + rest * (rest + 1) // 2
        span = self.steps - length
        target = torch.zeros((size, span + 1), dtype=torch.long, device=device)
        source = torch.full_like(target, -1)
        for part in range(fertility):
            # Words without that part are written to a step behind the last.
            at = torch.where(part < parts, begins + part, span)
            target.scatter_(1, at, label + part)
            source.scatter_(1, at, order)
        asked = torch.arange(span, device=device) < parts.sum(1, keepdim=True)
        target, source = torch.where(asked, target[:, :-1], 0), torch.where(asked, source[:, :-1], -1)
        x = torch.full((size, self.steps), blank, device=device)
        x[:, :length] = torch.where(place >= first, words, blank)
        x[:, length] = mark
        x[:, length + 1 :] = torch.where(asked[:, :-1], self.feed(target[:, :-1]), blank)
        before = torch.zeros_like(words)
        return Batch(
            x=x,
            target=torch.cat([before, target], dim=1),
            recall=torch.cat([before.bool(), asked], dim=1),
            source=torch.cat([before - 1, source], dim=1),
        )

    def translated_order(self, words: Tensor, first: Tensor) -> Tensor:
        """Returns the step of each word in the order of the translation, (batch, S), those behind the last word too.

        Args:
            words: of the lexicon, (batch, S), those before `first` without a meaning.
            first: the step of the first word, (batch, 1).
        """
        place = torch.arange(self.length, device=words.device)
        count = self.length - first
        if self.order == "same":
            order = first + place
        elif self.order == "reversed":
            order = first + count - 1 - place
        else:
            size = self.distance + 1
            begin = place // size * size
            last = torch.minimum(begin + self.distance, count - 1)
            ends = ((first + end).clamp(0, self.length - 1) for end in (begin, last))
            kind, other = (words.gather(1, end) // self.fertility % 2 for end in ends)
            # Backwards or not, the ends are of the same kind: so no order tells the words that are to come.
            order = first + torch.where(kind == other, begin + last - place, place)
        # Behind the last word there is no word to name.
        return order.clamp(0, self.length - 1)
