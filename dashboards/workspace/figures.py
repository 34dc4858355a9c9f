"""Where each figure of a report belongs in the workspace, by its name in the folder of figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analysis.groups import Section
from analysis.tuning.subject import Subject
from dashboards.workspace.headlines import SHELVES, words

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
class Shown:
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
class Shape:
    """The beginning of figures' names that say the same of themselves."""

    start: str
    probe: str
    of: str
    """The variant of the task, as the report heads it."""
    task: str


def placed(names: Sequence[str], sections: Sequence[Section], subjects: Sequence[Subject]) -> tuple[Shown, ...]:
    """The figures of a report, each where it belongs; what nothing is known of goes to the last section.

    Args:
        names: as logged.
        sections: of the report.
        subjects: what was tuned.
    """
    known = shapes(sections, subjects)
    whole = {section.anchor: section for section in sections}
    return tuple(_placed(name, known, whole) for name in sorted(names))


def shapes(sections: Sequence[Section], subjects: Sequence[Subject]) -> list[Shape]:
    """All beginnings, the longest first: a task may be named as another one begins."""
    found: list[Shape] = []
    for section in sections:
        task = section.rows[0].experiment.task.name
        starts = {
            f"memory-length-{section.anchor}-": "memory_length",
            f"gradient-decay-{section.anchor}-": "gradient_decay",
            f"signal-survival-{section.anchor}-": "signal_survival",
            f"{section.anchor}-discount-dynamics-": "discount_dynamics",
            f"{section.anchor}-": "alternation",
        }
        found += [Shape(start=start, probe=probe, of=section.title, task=task) for start, probe in starts.items()]
    found += [
        Shape(start=f"{subject.anchor}-", probe="tuning", of=subject.title, task=subject.of[0].study.task)
        for subject in subjects
    ]
    return sorted(found, key=lambda shape: (-len(shape.start), shape.start))


def _placed(name: str, known: Sequence[Shape], whole: Mapping[str, Section]) -> Shown:
    stem = name.partition("/")[2]
    if stem in whole:
        section = whole[stem]
        task = section.rows[0].experiment.task.name
        return Shown(name=name, section=LEARNING, what=CURVES, of=section.title, task=task)
    for shape in known:
        kind = stem.removeprefix(shape.start)
        # Of lemma 1 there is one figure, with nothing but the task's name in front.
        if kind == stem or not kind or (shape.probe == "alternation" and kind != "lemma"):
            continue
        section_name = SWEEPS if shape.probe == "tuning" else SHELVES[shape.probe].title
        return Shown(name=name, section=section_name, what=said(shape.probe, kind), of=shape.of, task=shape.task)
    return Shown(name=name, section=REPORT, what=words(stem.replace("-", " ")), task=None)


def said(probe: str, kind: str) -> str:
    """What a figure shows: `slices-gru` is that of slices, and of what."""
    first, _, of = kind.partition("-")
    title = KINDS.get(f"{probe}:{first}")
    if title is None:
        return words(kind.replace("-", " "))
    return f"{title}, {of}" if of else title
