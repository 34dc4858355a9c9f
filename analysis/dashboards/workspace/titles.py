"""Titles of metrics, curves and figures as in the report, with their units, and the sections that they belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from analysis.grouping import Section
from analysis.report.tuning.tuned_tasks import TunedTask

Titles = Mapping[str, str]
"""Titles by name, in the order in which they are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTitles:
    """Title of a probe's section, and of the metrics and curves that it shows."""

    title: str
    metrics: Titles = field(default_factory=dict)
    curves: Titles = field(default_factory=dict)


PROBE_TITLES: Mapping[str, ProbeTitles] = {
    "memory_length": ProbeTitles(
        title="Memory length",
        metrics={
            "horizon": "Recall horizon (steps)",
            "accuracy_at_limit": "Accuracy at the largest lags (share)",
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
        metrics={
            "gradient_half_life": "Half-life of the last output's gradient, fitted as an exponential (steps)",
            "gradient_typical_half_life": "Half-life of the last output's gradient, typical sequence (steps)",
            "gradient_exponent": "Exponent of the last output's gradient, fitted as a power law (no unit)",
            "lyapunov": "Largest Lyapunov exponent (nats a step; below 0 a small change fades)",
            "hops": "Path length from an input to the output (hops)",
            "hops_through_average": "Path length through the running average (hops)",
        },
        curves={
            "gradient": "Gradient of the last output, trained (log10 of the norm) against lag (steps)",
            "start_gradient": "Gradient of the last output, untrained (log10 of the norm) against lag (steps)",
        },
    ),
    "discount_dynamics": ProbeTitles(
        title="Discount dynamics",
        metrics={
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
    "alignment": ProbeTitles(
        title="Alignment",
        metrics={
            "aligned": "Strongest weight at the step asked for (share of answers)",
            "aligned_first": "Strongest weight at the step asked for, where that changes (share of answers)",
            "source_weight": "Weight of the step asked for (share)",
            "map_entropy": "Entropy of the weights of the input's steps (nats)",
            "accuracy_longest": "Accuracy at the longest sources (share)",
            "free_accuracy_longest": "Accuracy at the longest sources, with answers fed back (share)",
            "stored_share": "Steps stored by a memory (share of all)",
        },
        curves={
            "length": "Accuracy (share) against the length of the source (steps)",
            "free_length": "Accuracy with answers fed back (share) against the length of the source (steps)",
            "aligned": "Share aligned against the length of the source (steps)",
            "aligned_first": "Share aligned, where the step changes, against the length of the source (steps)",
            "stored": "Steps stored against step",
        },
    ),
    "alternation": ProbeTitles(
        title="Alternation",
        metrics={
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
        metrics={
            "held": "Left by the gates of the units that hold, on the task (share)",
            "hundredth_left": "Gate leak on shuffled steps: 1 % is left after (steps)",
            "log10_left_100000": "Left after 100,000 steps (log10 of the share)",
            "copies": "Copies between an input and the output",
        },
        curves={
            "left": "Left in the median unit (log10 of the share) against steps",
            "copies": "Copies against lag (steps)",
        },
    ),
}
"""Titles by probe. Any other probe is shown with all its metrics and curves, under their own names."""
METRIC_SUFFIXES = ("low", "high", "at_least")
"""Endings of names that belong to a metric, such as the ends of its interval, and are not metrics of their own."""

LEARNING_SECTION, SWEEPS_SECTION, REPORT_SECTION = "Learning", "Sweeps", "Report"
LEARNING_CURVES_TITLE = "Learning curves, with 95 % intervals"
FIGURE_TITLES: Mapping[str, str] = {
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
    "discount_dynamics:episodes": "Share of an episode's symbols that is held",
    "alignment:length": "Accuracy (share) against the length of the source (steps)",
    "alignment:aligned": "Share aligned against the length of the source (steps)",
    "alignment:stored": "Steps stored against step",
    "alignment:maps": "Weights of a source's steps, and the steps that are asked for",
    "alternation:lemma": "Squared error, growth of log attention (nats) and write (weight) against step",
    "signal_survival:left": "Share of a signal left against steps",
    "signal_survival:copies": "Share left by a photocopier, and copies, against steps",
    "tuning:compared": "Test loss of default and tuned configurations",
    "tuning:history": "Best validation loss against trials",
    "tuning:pareto": "Trials by both objectives, and their Pareto front",
    "tuning:importance": "Importance of the parameters (share)",
    "tuning:slices": "Validation loss against each parameter",
    "tuning:parallel": "Parallel coordinates of the complete trials",
}
"""Descriptions of figures as in the report, by probe and the last part of the figure's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureTitle:
    """A figure's description, and its place in the workspace."""

    name: str
    """Name under which it is logged."""
    section: str
    description: str
    """The same for figures that show the same of different tasks."""
    variant: str = ""
    """Heading of the variant of the task in the report."""
    task: str | None
    """`None` if the figure belongs to no known task."""

    @property
    def title(self) -> str:
        """The description, with the variant of the task."""
        return f"{self.description}: {self.variant}" if self.variant else self.description


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureNamePrefix:
    """A prefix of figures' names, and what it tells of the figures."""

    prefix: str
    probe: str
    variant: str
    """Heading of the variant of the task in the report."""
    task: str


def probe_titles(probe: str, metrics: Titles, curves: Titles) -> ProbeTitles:
    """Returns the titles of a probe's metrics and curves.

    Args:
        probe: its name.
        metrics: titles of the metrics of a probe that is not in `PROBE_TITLES`.
        curves: titles of its curves.
    """
    if probe in PROBE_TITLES:
        return PROBE_TITLES[probe]
    return ProbeTitles(title=readable_name(probe), metrics=metrics, curves=curves)


def readable_name(name: str) -> str:
    """Returns a name with spaces and an upper-case first letter."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def place_figures(
    names: Sequence[str], sections: Sequence[Section], tuned_tasks: Sequence[TunedTask]
) -> tuple[FigureTitle, ...]:
    """Returns the figures of a report with their sections; unknown figures go to the last section.

    Args:
        names: as logged.
        sections: of the report.
        tuned_tasks: tasks with studies.
    """
    prefixes = figure_prefixes(sections, tuned_tasks)
    by_anchor = {section.anchor: section for section in sections}
    return tuple(_place_figure(name, prefixes, by_anchor) for name in sorted(names))


def figure_prefixes(sections: Sequence[Section], tuned_tasks: Sequence[TunedTask]) -> list[FigureNamePrefix]:
    """Returns all prefixes, the longest first: the name of one task may begin with that of another."""
    prefixes: list[FigureNamePrefix] = []
    for section in sections:
        task = section.rows[0].experiment.task.name
        probes = {
            f"memory-length-{section.anchor}-": "memory_length",
            f"gradient-decay-{section.anchor}-": "gradient_decay",
            f"signal-survival-{section.anchor}-": "signal_survival",
            f"alignment-{section.anchor}-": "alignment",
            f"{section.anchor}-discount-dynamics-": "discount_dynamics",
            f"{section.anchor}-": "alternation",
        }
        prefixes += [
            FigureNamePrefix(prefix=prefix, probe=probe, variant=section.title, task=task)
            for prefix, probe in probes.items()
        ]
    for tuned in tuned_tasks:
        task = tuned.architectures[0].study.task
        prefixes.append(FigureNamePrefix(prefix=f"{tuned.anchor}-", probe="tuning", variant=tuned.title, task=task))
    return sorted(prefixes, key=lambda prefix: (-len(prefix.prefix), prefix.prefix))


def _place_figure(name: str, prefixes: Sequence[FigureNamePrefix], by_anchor: Mapping[str, Section]) -> FigureTitle:
    stem = name.partition("/")[2]
    section = by_anchor.get(stem.removesuffix("-learning-curves"))
    if section is not None and stem.endswith("-learning-curves"):
        return FigureTitle(
            name=name,
            section=LEARNING_SECTION,
            description=LEARNING_CURVES_TITLE,
            variant=section.title,
            task=section.rows[0].experiment.task.name,
        )
    for prefix in prefixes:
        kind = stem.removeprefix(prefix.prefix)
        # The figure of lemma 1 has only the task's name as its prefix.
        if kind == stem or not kind or (prefix.probe == "alternation" and kind != "lemma"):
            continue
        return FigureTitle(
            name=name,
            section=SWEEPS_SECTION if prefix.probe == "tuning" else PROBE_TITLES[prefix.probe].title,
            description=describe_figure(prefix.probe, kind),
            variant=prefix.variant,
            task=prefix.task,
        )
    return FigureTitle(name=name, section=REPORT_SECTION, description=readable_name(stem.replace("-", " ")), task=None)


def describe_figure(probe: str, kind: str) -> str:
    """Describes a figure by the last part of its name: `slices-gru` shows slices, of the GRU."""
    first, _, rest = kind.partition("-")
    title = FIGURE_TITLES.get(f"{probe}:{first}")
    if title is None:
        return readable_name(kind.replace("-", " "))
    return f"{title}, {rest}" if rest else title
