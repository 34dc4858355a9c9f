"""What is shown of each probe: its headline numbers and curves, in the words of the report, each with its unit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analysis.grouping import Section
from analysis.report.tuning.tuned import TunedTask

Titled = Mapping[str, str]
"""Titles by name, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTitles:
    """A section of the workspace that is a probe's."""

    title: str
    numbers: Titled = field(default_factory=dict)
    curves: Titled = field(default_factory=dict)


PROBE_TITLES: Mapping[str, ProbeTitles] = {
    "memory_length": ProbeTitles(
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
    "gradient_decay": ProbeTitles(
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
    "discount_dynamics": ProbeTitles(
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
    "alternation": ProbeTitles(
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
    "signal_survival": ProbeTitles(
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


def probe_titles(probe: str, numbers: Titled, curves: Titled) -> ProbeTitles:
    """What is shown of a probe.

    Args:
        probe: its name.
        numbers: by name, what is shown of one that is not in the catalogue here.
        curves: the same of its curves.
    """
    if probe in PROBE_TITLES:
        return PROBE_TITLES[probe]
    return ProbeTitles(title=metric_words(probe), numbers=numbers, curves=curves)


def metric_words(name: str) -> str:
    """A name in words."""
    said = name.replace("_", " ").strip()
    return said[:1].upper() + said[1:]


LEARNING, SWEEPS, REPORT = "Learning", "Sweeps", "Report"
CURVES = "Learning curves, with 95 % intervals"
KINDS: Mapping[str, str] = {
    "memory_length:recall": "Recall against lag (steps)",
    "memory_length:capacity": "R² of white noise told from the output, against lag (steps)",
    "memory_length:gradient": "Share of the squared gradient within a lag (steps)",
    "memory_length:extrapolation": "Loss and accuracy on longer sequences (times the training length)",
    "gradient_decay:lag": "Gradient after training (norm) against lag (steps)",
    "gradient_decay:start": "Gradient before training, and of the loss (norm) against lag (steps)",
    "gradient_decay:state": "Gradient of the first step, of the state (norm), and hops, against lag (steps)",
    "discount_dynamics:heat": "Retention (share) and write (weight) of every unit, step by step",
    "discount_dynamics:time": "Retention (share), write (weight) and effective window (steps) against step",
    "discount_dynamics:scales": "Time constants of the units (steps), and influence within a lag (share)",
    "discount_dynamics:own": "Discount gamma (share) and log attention (nats) against step",
    "discount_dynamics:episodes": "What is held of an episode's symbols (share)",
    "alternation:lemma": "Squared error, growth of log attention (nats) and write (weight) against step",
    "signal_survival:left": "Share of a signal left against steps",
    "signal_survival:copies": "Share left by a photocopier, and copies, against steps",
    "tuning:compared": "Test loss of default and tuned configurations",
    "tuning:history": "Best validation loss against trials",
    "tuning:pareto": "Trials by both objectives, and their Pareto front",
    "tuning:importance": "What mattered: importance of the parameters (share)",
    "tuning:slices": "Validation loss against each parameter",
    "tuning:parallel": "Parallel coordinates of the complete trials",
}
"""By probe and the last part of a figure's name, the words of the report for what it shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureTitle:
    """A figure, with its place in the workspace."""

    name: str
    """Under which it is logged."""
    section: str
    what: str
    """Said of all figures that show the same, each of another task."""
    of: str = ""
    """The variant of the task, as the report heads it."""
    task: str | None
    """`None` where no task is known that it belongs to."""

    @property
    def title(self) -> str:
        """What it shows, and of what."""
        return f"{self.what}: {self.of}" if self.of else self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureShape:
    """The beginning of figures' names that say the same of themselves."""

    start: str
    probe: str
    of: str
    """The variant of the task, as the report heads it."""
    task: str


def place_figures(
    names: Sequence[str], sections: Sequence[Section], subjects: Sequence[TunedTask]
) -> tuple[FigureTitle, ...]:
    """The figures of a report, each where it belongs; what nothing is known of goes to the last section.

    Args:
        names: as logged.
        sections: of the report.
        subjects: what was tuned.
    """
    known = shapes(sections, subjects)
    whole = {section.anchor: section for section in sections}
    return tuple(_placed(name, known, whole) for name in sorted(names))


def shapes(sections: Sequence[Section], subjects: Sequence[TunedTask]) -> list[FigureShape]:
    """All beginnings, the longest first: a task may be named as another one begins."""
    found: list[FigureShape] = []
    for section in sections:
        task = section.rows[0].experiment.task.name
        starts = {
            f"memory-length-{section.anchor}-": "memory_length",
            f"gradient-decay-{section.anchor}-": "gradient_decay",
            f"signal-survival-{section.anchor}-": "signal_survival",
            f"{section.anchor}-discount-dynamics-": "discount_dynamics",
            f"{section.anchor}-": "alternation",
        }
        found += [FigureShape(start=start, probe=probe, of=section.title, task=task) for start, probe in starts.items()]
    found += [
        FigureShape(start=f"{subject.anchor}-", probe="tuning", of=subject.title, task=subject.of[0].study.task)
        for subject in subjects
    ]
    return sorted(found, key=lambda shape: (-len(shape.start), shape.start))


def _placed(name: str, known: Sequence[FigureShape], whole: Mapping[str, Section]) -> FigureTitle:
    stem = name.partition("/")[2]
    if stem in whole:
        section = whole[stem]
        task = section.rows[0].experiment.task.name
        return FigureTitle(name=name, section=LEARNING, what=CURVES, of=section.title, task=task)
    for shape in known:
        kind = stem.removeprefix(shape.start)
        # Of lemma 1 there is one figure, with nothing but the task's name in front.
        if kind == stem or not kind or (shape.probe == "alternation" and kind != "lemma"):
            continue
        section_name = SWEEPS if shape.probe == "tuning" else PROBE_TITLES[shape.probe].title
        return FigureTitle(
            name=name, section=section_name, what=describe_probe(shape.probe, kind), of=shape.of, task=shape.task
        )
    return FigureTitle(name=name, section=REPORT, what=metric_words(stem.replace("-", " ")), task=None)


def describe_probe(probe: str, kind: str) -> str:
    """What a figure shows: `slices-gru` is that of slices, and of what."""
    first, _, of = kind.partition("-")
    title = KINDS.get(f"{probe}:{first}")
    if title is None:
        return metric_words(kind.replace("-", " "))
    return f"{title}, {of}" if of else title
