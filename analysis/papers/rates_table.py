"""Sensitivity to the learning rate: what each rate of the grid gave on the validation set, and which was chosen."""

import math
from collections.abc import Sequence

from analysis.formatting import ABSENT, format_count, format_number, pluralize
from analysis.papers.markdown import escape, markdown_table
from analysis.papers.tables import describe_options
from analysis.presets.preset import Preset, Scale
from analysis.presets.rates import RateChoice, RateScore


def rates_table(preset: Preset, scale: Scale, choices: Sequence[RateChoice]) -> str:
    """Returns how rates were chosen and, for each variant, a table of rows and rates, as Markdown.

    Args:
        preset: the preset.
        scale: the scale of the choices.
        choices: what was tried and chosen, at least one.
    """
    has_goal = any(score.steps for choice in choices for score in choice.scores)
    kind = "median step to the goal on the validation set, then its loss" if has_goal else "loss on the validation set"
    counts = sorted({choice.trials for choice in choices})
    trials = pluralize(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    rule = (
        f"Each rate was tried with {trials} of its own, which no other table counts, over all steps. The rate with the "
        f"lowest {kind} (bold) was then used for all seeds of the row; the test set had no say. Where the first or the "
        "last rate of a grid is chosen, a better one may lie beyond it."
    )
    return "\n\n".join([rule, *(variant_table(preset, scale, choices, place) for place in variants_of(choices))])


def variants_of(choices: Sequence[RateChoice]) -> list[int]:
    """Returns the places of the variants that have choices, in order."""
    return sorted({choice.variant for choice in choices})


def variant_table(preset: Preset, scale: Scale, choices: Sequence[RateChoice], variant: int) -> str:
    """Returns the table of one variant, with its name if there are several."""
    own = [choice for choice in choices if choice.variant == variant]
    rates = sorted({score.rate for choice in own for score in choice.scores})
    lines = []
    for choice in own:
        by_rate = {score.rate: score for score in choice.scores}
        cells = [format_score(by_rate[rate]) if rate in by_rate else ABSENT for rate in rates]
        cells = [f"**{cell}**" if rate == choice.chosen else cell for rate, cell in zip(rates, cells, strict=True)]
        lines.append([escape(choice.row), *cells])
    table = markdown_table(("architecture", *(f"{rate:g}" for rate in rates)), lines)
    name = describe_options(preset.variants(scale)[variant])
    return f"### learning rates{', ' if name else ''}{escape(name)}\n\n{table}"


def format_score(score: RateScore) -> str:
    """Returns what the trials of a rate gave, one by one."""
    losses = ", ".join("diverged" if math.isinf(loss) else format_number(loss) for loss in score.losses)
    if not score.steps:
        return losses
    steps = ", ".join("never" if math.isinf(step) else format_count(step) for step in score.steps)
    return f"{steps} (loss {losses})"
