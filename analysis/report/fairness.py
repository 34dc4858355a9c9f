"""Fairness of a comparison: rules that all rows of a section have to share, checked on their runs."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass

from analysis.formatting import DASH, format_count, format_number, format_percent, format_seeds
from analysis.grouping import Row, Section
from analysis.variant_names import flatten_config, format_option, natural_sort_key
from architectures.parameter_rules import describe_rules
from architectures.registry import is_causal
from workbench.config import Numerics
from workbench.size_matching import MATCH_TOLERANCE

MAX_LISTED = 3
"""Largest number of rows with the same value that are listed one by one; more become "all others"."""
DEFAULT_NUMERICS = {f"numerics.{name}": value for name, value in asdict(Numerics()).items()}
"""Settings that configurations leave out if they have the default value."""
FREE_SETTINGS = ("schema", "task.name", "task.options.", "architecture.", "budget.steps", "budget.log_every")
"""Prefixes of settings that may differ, since they are what is compared or only log it. Of steps, those made count."""
SETTING_NAMES = {"budget.seconds": "time limit in seconds", "task.source": "the task's own code"}
MAX_SIZE_FACTOR = 2.0
"""Factor between the smallest and the largest of parameters, or of state, above which a comparison is unfair."""
OPTIONAL_SETTINGS = ("weight_decay", "momentum", "warmup_steps")
"""Optimiser settings that are mentioned unless they are 0."""


def check_fairness(section: Section) -> tuple[bool, tuple[str, ...]]:
    """Checks that all rows were trained under the same rules, and are of about the same size.

    Returns:
        True if all rules hold and sizes are within `MAX_SIZE_FACTOR`, and the sentences that say so or name the
        differences.
    """
    rows, gaps = section.rows, size_gaps(section.rows)
    goals = {row.experiment.budget.until for row in rows}
    # Runs that end at a goal are compared by the steps made, so only their budgets have to agree.
    faults = broken_rules(rows, [STEPS_RULE if goals == {None} else BUDGET_RULE, *setting_rules(rows), *RUN_RULES])
    if len(rows) == 1:
        sentences = ["There is one row, and nothing to compare it with."]
    elif faults:
        sentences = [f"Not all rows were trained alike: {'; '.join(faults)}."]
    else:
        first = rows[0]
        budget = f"budget of steps ({BUDGET_RULE.value_of(first)})"
        sentences = [
            f"All rows had the same {f'steps ({format_steps(first)})' if goals == {None} else budget}, "
            f"batch size ({first.experiment.budget.batch_size}), "
            f"optimiser settings ({describe_optimizer(first)}) and seeds ({format_used_seeds(first)})."
        ]
    if len(goals) == 1 and goals != {None}:
        sentences.append(
            f"A run ended at the first row of metrics by which its goal was met ({goals.pop()}): compare the steps "
            "made, not the losses at the end."
        )
    limits = {format_time_limit(row) for row in rows}
    if len(limits) == 1 and limits != {"none"}:
        sentences.append(f"The limit on training time was {limits.pop()} a run; steps made within it depend on speed.")
    sentences += describe_parameter_rules(rows)
    sentences += describe_sizes(rows) + [describe_size_gap(gap) for gap in gaps] + describe_short_reach(rows)
    if machines := broken_rules(rows, MACHINE_RULES):
        sentences.append(f"Seconds a step cannot be compared: {'; '.join(machines)}.")
    return not faults and not gaps, tuple(sentences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A value that has to be the same for all rows."""

    name: str
    value_of: Callable[[Row], str]
    verb: str = "differs"


def setting_rules(rows: Sequence[Row], free: Collection[str] = ()) -> list[Rule]:
    """Returns a rule for each setting that has to be the same.

    Args:
        rows: rows of the section.
        free: settings that may differ here, besides `FREE_SETTINGS`.
    """
    keys = {key for row in rows for key in flatten_config(row.experiment) if not key.startswith(FREE_SETTINGS)}
    return [
        Rule(name=SETTING_NAMES.get(key, key.rpartition(".")[2].replace("_", " ")), value_of=setting_formatter(key))
        for key in sorted(keys.difference(free))
    ]


def broken_rules(rows: Sequence[Row], rules: Sequence[Rule]) -> list[str]:
    """Returns a text for each broken rule, with the values: `steps differ: lstm 2000, rda 500`."""
    faults = []
    for rule in rules:
        values = {row.label: rule.value_of(row) for row in rows}
        if len(set(values.values())) > 1:
            faults.append(f"{rule.name} {rule.verb}: {', '.join(format_values(values))}")
    return faults


def format_values(values: dict[str, str]) -> list[str]:
    """Returns each label with its value; a value that many share is given once, as that of all others."""
    most_common = max(values.values(), key=list(values.values()).count)
    shared = sum(value == most_common for value in values.values()) > MAX_LISTED
    texts = [f"{label} {value}" for label, value in values.items() if not (shared and value == most_common)]
    return [*texts, f"all others {most_common}"] if shared else texts


def format_steps(row: Row) -> str:
    """Returns the steps made by the runs that did not diverge; the budget if all diverged."""
    made = {run.result["steps"] for run in row.trained_runs} or {row.experiment.budget.steps}
    return DASH.join(str(step) for step in sorted({min(made), max(made)}))


def format_time_limit(row: Row) -> str:
    """Returns the limit on the training time of a run."""
    seconds = row.experiment.budget.seconds
    return "none" if seconds is None else f"{format_number(seconds)} s"


def format_used_seeds(row: Row) -> str:
    """Returns the seeds of a row, including those that diverged."""
    return format_seeds(run.experiment.seed for run in row.runs)


def format_trivial_loss(row: Row) -> str:
    """Returns the trivial loss, to the digits that do not depend on the machine."""
    losses = {f"{loss:.9g}" for loss in row.result_values("trivial_loss") if loss is not None}
    return " or ".join(sorted(losses)) or "none"


def setting_formatter(key: str) -> Callable[[Row], str]:
    """Returns a function that formats an entry of a row's flattened configuration."""

    def format_setting(row: Row) -> str:
        value = flatten_config(row.experiment).get(key, DEFAULT_NUMERICS.get(key))
        return "none" if value is None else format_option(value)

    return format_setting


def timing_formatter(name: str, missing: str = "unknown") -> Callable[[Row], str]:
    """Returns a function that formats an entry of `timing.json` over a row's runs.

    Args:
        name: of the entry.
        missing: stands for it in a run without it.
    """
    return lambda row: " or ".join(sorted({str(run.timing.get(name, missing)) for run in row.runs}))


STEPS_RULE = Rule(name="steps", value_of=format_steps, verb="differ")
BUDGET_RULE = Rule(name="budgets of steps", value_of=setting_formatter("budget.steps"), verb="differ")
RUN_RULES = (
    Rule(name="seeds", value_of=format_used_seeds, verb="differ"),
    Rule(name="trivial loss", value_of=format_trivial_loss),
)
"""Rules on values that only the runs have; the other rules are read from their configurations."""
MACHINE_RULES = (
    *(Rule(name=name, value_of=timing_formatter(name)) for name in ("device", "processor", "threads", "torch")),
    Rule(name="seeds at once", value_of=timing_formatter("seeds_at_once", missing="1"), verb="differ"),
)
"""Rules that make training times comparable."""


def describe_optimizer(row: Row) -> str:
    """Describes the optimiser settings of a row."""
    settings = row.experiment.optimization
    parts = [settings.optimizer, f"learning rate {settings.learning_rate:g}"]
    if settings.clip != "none":
        parts.append(f"gradients clipped by {settings.clip} at {settings.clip_at:g}")
    if settings.schedule != "constant":
        parts.append(f"{settings.schedule} schedule")
    parts += [f"{name.replace('_', ' ')} {value:g}" for name in OPTIONAL_SETTINGS if (value := getattr(settings, name))]
    return ", ".join(parts)


def describe_parameter_rules(rows: Sequence[Row]) -> list[str]:
    """Names the rows some of whose parameters are trained in another way than the others."""
    said = {row.label: "; ".join(describe_rules(row.runs[0].parameter_rules)) for row in rows}
    texts = [f"{label}: {text}" for label, text in said.items() if text]
    return [f"Parameters that their architecture has trained in a way of its own: {'. '.join(texts)}."] if texts else []


def describe_sizes(rows: Sequence[Row]) -> list[str]:
    """Says whether widths are equal or parameters matched, and how far apart they are; empty for one row."""
    if len(rows) < 2:
        return []
    widths = {str(row.experiment.architecture.options.get("hidden_size", "unknown")) for row in rows}
    parameters = [count for row in rows for count in row.result_values("parameters")]
    smallest, largest = min(parameters), max(parameters)
    spread = 100 * (largest - smallest) / max(1, smallest)
    counts = f"from {format_count(smallest)} to {format_count(largest)}, a spread of {format_percent(spread)}"
    if widths == {"unknown"}:
        return [f"Parameters {counts}."]
    if len(widths) == 1:
        return [f"Widths are equal (hidden size {widths.pop()}); parameters {counts}."]
    if spread <= MATCH_TOLERANCE:
        return [f"Parameters are matched, {counts}; widths differ."]
    states = [size for row in rows for size in row.result_values("state_size")]
    if 100 * (max(states) - min(states)) <= MATCH_TOLERANCE * min(states):
        ends = f"from {format_count(min(states))} to {format_count(max(states))} numbers"
        return [f"States are matched, {ends}; widths differ, and parameters {counts}."]
    hidden_sizes = ", ".join(sorted(widths, key=natural_sort_key))
    return [f"Neither widths nor parameters are equal: hidden size {hidden_sizes}; parameters {counts}."]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeGap:
    """How far apart the sizes of rows are."""

    name: str
    """What the sizes are of: `parameters` or `state`."""
    smallest: Row
    low: float
    largest: Row
    high: float
    mended_by: str
    """The option that makes them equal; empty if a row reads whole sequences, so that its state cannot be."""

    @property
    def factor(self) -> float:
        """By what factor the largest size exceeds the smallest."""
        return self.high / max(1, self.low)


def size_gaps(rows: Sequence[Row]) -> list[SizeGap]:
    """Returns the gaps of parameters and of state that are wider than `MAX_SIZE_FACTOR`, the widest first."""
    gaps = []
    for name, key in (("parameters", "parameters"), ("state", "state_size")):
        sizes = [(max(row.result_values(key)), row) for row in rows]
        (low, smallest), (high, largest) = (chosen(sizes, key=lambda pair: pair[0]) for chosen in (min, max))
        parts = [row.experiment.architecture for row in rows]
        streams = all(is_causal(part.name, part.options) for part in parts)
        mended_by = f"--match {name}" if name == "parameters" or streams else ""
        gaps.append(SizeGap(name=name, smallest=smallest, low=low, largest=largest, high=high, mended_by=mended_by))
    return sorted((gap for gap in gaps if gap.factor > MAX_SIZE_FACTOR), key=lambda gap: -gap.factor)


def describe_size_gap(gap: SizeGap) -> str:
    """Says how far apart sizes are, and what mends it."""
    sizes = f"{gap.smallest.label} {format_count(gap.low)}, {gap.largest.label} {format_count(gap.high)}"
    mended = f"; {gap.mended_by} makes them equal" if gap.mended_by else ""
    noun = "numbers of parameters" if gap.name == "parameters" else "sizes of the state"
    return f"Unequal sizes: the {noun} differ by a factor of {format_number(gap.factor)} ({sizes}){mended}."


def describe_short_reach(rows: Sequence[Row]) -> list[str]:
    """Names the rows whose receptive field is shorter than the sequences."""
    short = [
        f"{row.label} {format_count(reach)} of {format_count(time)} steps"
        for row in rows
        for reach, time in zip(row.result_values("receptive_field")[:1], row.result_values("time")[:1], strict=True)
        if reach is not None and reach < time
    ]
    return [f"Cannot see the whole sequence: {', '.join(short)}."] if short else []
