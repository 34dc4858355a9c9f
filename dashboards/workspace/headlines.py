"""What is shown of each probe: its headline numbers and curves, in the words of the report, each with its unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Titled = Mapping[str, str]
"""Titles by name, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A section of the workspace that is a probe's."""

    title: str
    numbers: Titled = field(default_factory=dict)
    curves: Titled = field(default_factory=dict)


SHELVES: Mapping[str, Shelf] = {
    "memory_length": Shelf(
        title="Memory length",
        numbers={
            "horizon": "Recall horizon (steps)",
            "memory_capacity": "Memory capacity, the sum of R² over all lags (outputs)",
            "field_90": "Lag that holds 90 % of the squared gradient (steps)",
            "extrapolation": "Below the trivial loss up to (times the training length)",
        },
        curves={
            "recall": "Recall accuracy (share) against lag (steps)",
            "capacity": "R² of white noise told from the output, against lag (steps)",
            "extrapolation_loss": "Test loss against sequence length (times that of training)",
        },
    ),
    "gradient_decay": Shelf(
        title="Gradient decay",
        numbers={
            "gradient_half_life": "Half-life of the last output's gradient, fitted as an exponential (steps)",
            "gradient_exponent": "Exponent of the last output's gradient, fitted as a power law (no unit)",
            "lyapunov": "Largest Lyapunov exponent (nats a step; below 0 a small change fades)",
            "hops": "Path length from an input to the output (hops)",
        },
        curves={
            "gradient": "Gradient of the last output, trained (log10 of the norm) against lag (steps)",
            "start_gradient": "Gradient of the last output, untrained (log10 of the norm) against lag (steps)",
        },
    ),
    "discount_dynamics": Shelf(
        title="Discount dynamics",
        numbers={
            "retention_mean": "Mean retention (share kept in a step)",
            "time_constant_median": "Time constant of the median unit (steps)",
            "time_constant_longest": "Time constant of the slowest unit (steps)",
            "discount_half_life": "Half-life of what is kept (steps)",
            "window_share": "Effective window at the end (share of the sequence)",
            "write_slope": "Freeze: slope of log write on log t (no unit; -1 is an average of everything)",
            "forgets_on_purpose": "Forgets on purpose (share kept while needed, less that kept after)",
        },
        curves={
            "retention": "Retention, mean over units (share) against step",
            "write": "Write, mean over units (weight) against step",
            "time_constants": "Time constants of the units (steps) against the share of units",
            "held_symbols": "Influence of an episode's symbols (share) against step of the episode",
        },
    ),
    "alternation": Shelf(
        title="Alternation",
        numbers={
            "loss": "Loss at the training length (squared error)",
            "loss_share": "Loss at the training length (share of the trivial loss)",
            "amplitude": "Amplitude of the answer at the training length (share of c)",
            "amplitude_beyond": "Amplitude on to 4 times the training length (share of c)",
            "attention_growth": "Growth of log attention, measured (nats a step)",
            "growth_needed": "Growth of log attention that lemma 1 needs (nats a step)",
            "write_slope": "Slope of log write on log t (no unit)",
        },
        curves={
            "error": "Squared error against step",
            "log_attention": "Log attention, less its first value (nats) against step",
            "write": "Write (weight) against step",
        },
    ),
    "signal_survival": Shelf(
        title="Signal survival",
        numbers={
            "hundredth_left": "A hundredth of a signal is left after (steps)",
            "log10_left_100000": "Left after 100,000 steps (log10 of the share)",
            "copies": "Copies between an input and the output",
        },
        curves={
            "left": "Left in the median unit (log10 of the share) against steps",
            "copies": "Copies against lag (steps)",
        },
    ),
}
"""By probe. A probe that is not here is shown by all its numbers and curves, under their own names."""
ENDS = ("low", "high", "at_least")
"""Behind a number's name, what belongs to it and is no number of its own."""


def shelf(probe: str, numbers: Titled, curves: Titled) -> Shelf:
    """What is shown of a probe.

    Args:
        probe: its name.
        numbers: by name, what is shown of one that is not in the catalogue here.
        curves: the same of its curves.
    """
    if probe in SHELVES:
        return SHELVES[probe]
    return Shelf(title=words(probe), numbers=numbers, curves=curves)


def words(name: str) -> str:
    """A name in words."""
    said = name.replace("_", " ").strip()
    return said[:1].upper() + said[1:]
