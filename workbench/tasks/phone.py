"""The task `phone`: a number to recall, in chunks with separators or without."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Generator, Tensor

from architectures.limits import check_flag, check_steps, quote
from workbench.tasks.base import Batch, Criterion, Floor
from workbench.tasks.guessing import bag_floor
from workbench.tasks.query_task import QueryTask

DIGITS = 10
BLANK, SEPARATOR, MARK = DIGITS, DIGITS + 1, DIGITS + 2
"""Symbols after the digits; if segments are asked, there are marks from `MARK` on, one for each."""

Recall = Literal["whole", "segment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone(QueryTask):
    """A phone number such as 858-534-22-30, then T blanks, then a mark, at which it is asked digit by digit.

    The number has S digits in G segments, with separators between them. Without separators there are G - 1 blanks more
    after it, so that sequences are as long and the mark comes at the same step.

        steps   = S + G - 1 + T + 1 + digits that are asked, at most
        recall  whole: all S digits, in the steps after the mark; segment: the mark names one of the segments, each as
                likely as any other, and its digits are asked
        loss    = mean of -ln p(digit) over the digits that are asked
        trivial = ln 10
        floors  : bag of values, who knows how often each digit was there, but not where
        solved  : accuracy > 0.99

    Whether chunks help is seen by training with separators and without.

    Source: Culurciello (2018), "The fall of RNN / LSTM", note 4, on a phone number memorized in four segments.

    Args:
        length: T, the number of blanks between the number and the mark.
        segments: digits in each segment, one or more segments.
        separators: whether separators are shown between segments.
        recall: what is asked, whole or segment.
    """

    length: int = 30
    segments: tuple[int, ...] = (3, 3, 2, 2)
    separators: bool = True
    recall: Recall = "whole"

    def __post_init__(self) -> None:
        check_steps(length=self.length)
        if not isinstance(self.segments, tuple) or not self.segments:
            raise TypeError(f"segments must be a list of numbers of digits, not {quote(self.segments)}")
        for digits in self.segments:
            check_steps(segments=digits)
        check_flag(separators=self.separators)
        if self.recall not in get_args(Recall):
            raise ValueError(f"recall must be one of {', '.join(get_args(Recall))}, not {quote(self.recall)}")
        check_steps(steps=self.steps)

    @property
    def shown(self) -> int:
        """The number of steps of the number and its separators, S + G - 1."""
        return sum(self.segments) + len(self.segments) - 1

    @property
    def asked(self) -> int:
        """The most digits that are asked."""
        return sum(self.segments) if self.recall == "whole" else max(self.segments)

    @property
    def steps(self) -> int:
        """The number of steps."""
        return self.shown + self.length + 1 + self.asked

    @property
    def source_steps(self) -> int:
        """The number and the blanks; the mark is the first step that is decoded."""
        return self.shown + self.length

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """Ten digits, the blank, the separator, and one mark, or one for each segment."""
        return MARK + (1 if self.recall == "whole" else len(self.segments))

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of symbols."""
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """The digits."""
        return DIGITS

    @property
    def trivial_loss(self) -> float:
        """The entropy of a digit, ln 10."""
        return math.log(DIGITS)

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows how often each digit was there."""
        if sum(self.segments) == 1:
            return {}
        return {"bag of values": bag_floor(sum(self.segments), (1 / DIGITS,) * DIGITS)}

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws digits, and the segment that is asked."""
        device, count = generator.device, sum(self.segments)
        digits = torch.randint(DIGITS, (size, count), generator=generator, device=device)
        number = torch.arange(count, device=device)
        segment = torch.zeros_like(number)
        first, sizes = [0], self.segments
        for digits_before in sizes[:-1]:
            first.append(first[-1] + digits_before)
            segment[first[-1] :] += 1
        place = number + segment if self.separators else number
        x = torch.full((size, self.steps), BLANK, device=device)
        if self.separators:
            x[:, : self.shown] = SEPARATOR
        x[:, place] = digits
        after = self.shown + self.length + 1
        if self.recall == "whole":
            x[:, after - 1] = MARK
            asked, valid = number.expand(size, -1), torch.ones((size, count), dtype=torch.bool, device=device)
        else:
            chosen = torch.randint(len(sizes), (size,), generator=generator, device=device)
            x[:, after - 1] = MARK + chosen
            offset = torch.arange(self.asked, device=device)
            starts, lengths = choose(chosen, first), choose(chosen, sizes)
            valid = offset < lengths.unsqueeze(1)
            asked = torch.where(valid, starts.unsqueeze(1) + offset, 0)
        target = torch.zeros_like(x)
        target[:, after:] = torch.where(valid, digits.gather(1, asked), 0)
        recall = torch.zeros(x.shape, dtype=torch.bool, device=device)
        recall[:, after:] = valid
        source = torch.full_like(x, -1)
        source[:, after:] = torch.where(valid, place[asked], -1)
        return Batch(x=x, target=target, recall=recall, source=source)


def choose(index: Tensor, values: tuple[int, ...] | list[int]) -> Tensor:
    """Returns the value at each index, without a transfer of the values to a GPU that would be waited for."""
    chosen = torch.zeros_like(index)
    for place, value in enumerate(values):
        chosen += (index == place) * value
    return chosen
