"""The task `agreement`: the verb and the pronoun of a sentence agree with its subject, whatever nouns come between."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from architectures.limits import check_steps
from workbench.tasks.base import Batch, Criterion, Floor
from workbench.tasks.guessing import bag_floor
from workbench.tasks.key_values import draw_distinct
from workbench.tasks.query_task import QueryTask

NOUNS = ("man", "king", "woman", "queen", "dog", "river", "men", "kings", "women", "queens", "dogs", "rivers")
"""Two of each gender: masculine, feminine, neuter; first in the singular, then in the plural."""
WORDS = ("the", ",", "which", "chased", "really", "<verb>", "<pronoun>", "tail", ".")
"""The other symbols, which follow the nouns."""
ANSWERS = ("wagged (singular)", "wagged (plural)", "his", "her", "its", "their")
SINGULAR = len(NOUNS) // 2
THE, COMMA, WHICH, CHASED, REALLY, VERB, PRONOUN, TAIL, STOP = range(len(NOUNS), len(NOUNS) + len(WORDS))
FRAME = 9
"""Words of a sentence without its clauses: the NOUN , which ... , <verb> <pronoun> tail ."""
CLAUSE = 3
"""Words of a clause: chased the NOUN."""
NUMBER_SHARES = (1 / 2, 1 / 2)
PRONOUN_SHARES = (1 / 6, 1 / 6, 1 / 6, 1 / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement(QueryTask):
    """Agreement over a gap, as in "the dog , which chased the kings , wagged its tail".

    Each of N sentences takes T / N steps, rounded down:

        the SUBJECT , which (really) (chased the NOUN) (really) ... , <verb> <pronoun> tail .

    with A clauses of an attractor noun, and as many words "really" anywhere between them as fill the steps. All nouns
    are independent, singular or plural, masculine, feminine or neuter, each with the same probability. At <verb> the
    subject's number is asked, at <pronoun> his, her, its or, for a plural, their. Each sentence replaces the subject.

        loss    = mean of -ln p(answer) over the two steps that ask in every sentence
        trivial = (ln 2 + ln 2 + (ln 3) / 2) / 2, the entropies of number and pronoun
        floors  : bag of nouns, who knows how many nouns of each kind a sentence has, but not which is the subject: in
                  its accuracy, the majority of the nouns
                  last noun, who takes the last attractor for the subject: its loss is the trivial one, as attractors
                  say nothing on the subject; accuracy (1/2 + 1/3) / 2
        solved  : accuracy > 0.99

    Source: Olah (2015), "Understanding LSTM Networks", the gender of the subject, kept and replaced; Linzen, Dupoux and
    Goldberg (2016, arXiv 1611.01368), number agreement with attractors.

    Args:
        length: T, the number of steps, at least N (9 + 3 A).
        attractors: A, the number of nouns between subject and verb, at least 0.
        sentences: N, the number of sentences.
    """

    length: int = 60
    attractors: int = 3
    sentences: int = 2

    def __post_init__(self) -> None:
        check_steps(0, attractors=self.attractors)
        check_steps(sentences=self.sentences)
        check_steps(self.sentences * (FRAME + CLAUSE * self.attractors), length=self.length)

    @property
    def steps(self) -> int:
        """The number of steps, T."""
        return self.length

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """The number of nouns and other words."""
        return len(NOUNS) + len(WORDS)

    @property
    def input_size(self) -> int:  # type: ignore[override]
        """The number of symbols."""
        return self.symbols

    @property
    def output_size(self) -> int:  # type: ignore[override]
        """Two numbers and four pronouns."""
        return len(ANSWERS)

    @property
    def trivial_loss(self) -> float:
        """The mean of the entropies of number and pronoun."""
        return math.log(2) + math.log(3) / 4

    @property
    def floors(self) -> Mapping[str, Floor]:
        """What one reaches who knows the nouns of a sentence but not which is the subject, or the last noun alone."""
        if self.attractors == 0:
            return {}
        number, pronoun = (bag_floor(self.attractors + 1, shares) for shares in (NUMBER_SHARES, PRONOUN_SHARES))
        known = number.accuracy is not None and pronoun.accuracy is not None
        same = [sum(share**2 for share in shares) for shares in (NUMBER_SHARES, PRONOUN_SHARES)]
        return {
            "bag of nouns": Floor(
                loss=(number.loss + pronoun.loss) / 2,
                accuracy=(number.accuracy + pronoun.accuracy) / 2 if known else None,  # type: ignore[operator]
            ),
            "last noun": Floor(loss=self.trivial_loss, accuracy=sum(same) / 2),
        }

    @property
    def solved(self) -> Criterion:
        """An accuracy above 0.99."""
        return Criterion(metric="accuracy", bound=0.99, above=True)

    def sample(self, size: int, generator: Generator) -> Batch:
        """Draws nouns, and the places of the clauses."""
        device, span = generator.device, self.length // self.sentences
        count, clauses = size * self.sentences, self.attractors
        nouns = torch.randint(len(NOUNS), (count, clauses + 1), generator=generator, device=device)
        x = torch.full((count, span), REALLY, device=device)
        for step, word in enumerate((THE, None, COMMA, WHICH)):
            x[:, step] = nouns[:, 0] if word is None else word
        for step, word in enumerate((COMMA, VERB, PRONOUN, TAIL, STOP)):
            x[:, span - 5 + step] = word
        if clauses:
            # A clause takes one of the places, and two steps more than "really" does.
            places = span - FRAME - (CLAUSE - 1) * clauses
            first = draw_distinct(count, clauses, places, generator).sort(1).values
            first = first + 4 + (CLAUSE - 1) * torch.arange(clauses, device=device)
            x.scatter_(1, first, CHASED).scatter_(1, first + 1, THE).scatter_(1, first + 2, nouns[:, 1:])
        target, source = torch.zeros_like(x), torch.full_like(x, -1)
        recall = torch.zeros(x.shape, dtype=torch.bool, device=device)
        plural = (nouns[:, 0] >= SINGULAR).long()
        target[:, span - 4] = plural
        target[:, span - 3] = torch.where(plural > 0, 5, 2 + nouns[:, 0] % SINGULAR // 2)
        recall[:, span - 4 : span - 2] = True
        starts = span * torch.arange(self.sentences, device=device).repeat(size)
        source[:, span - 4 : span - 2] = (starts + 1).unsqueeze(1)
        return Batch(
            x=self._join(x, size, STOP),
            target=self._join(target, size, 0),
            recall=self._join(recall, size, False),
            source=self._join(source, size, -1),
        )

    def _join(self, sentences: Tensor, size: int, filler: int) -> Tensor:
        """Returns sentences one after another, (size, T), and after the last one what fills the steps."""
        joined = sentences.view(size, -1)
        rest = torch.full((size, self.length - joined.shape[1]), filler, dtype=joined.dtype, device=joined.device)
        return torch.cat([joined, rest], dim=1)
