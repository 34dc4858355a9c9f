"""Whether the rows of a section were trained under the same rules, computed from the runs."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass

from analysis.formatting import DASH, format_count, format_number, format_percent, format_seeds
from analysis.grouping import Row, Section, flatten, format_option, natural_sort_key
from workbench.config import Numerics
from workbench.resolve import MATCH_TOLERANCE

OTHERS = 3
"""Where more rows than this agree, they are "all others"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something that has to be the same for all rows."""

    name: str
    of: Callable[[Row], str]
    verb: str = "differs"


def steps(row: Row) -> str:
    """The steps made by the runs that did not diverge; where all did, the budget."""
    made = {run.result["steps"] for run in row.trained} or {row.experiment.budget.steps}
    return DASH.join(str(step) for step in sorted({min(made), max(made)}))


def time_limit(row: Row) -> str:
    """The limit on the training time of a run."""
    seconds = row.experiment.budget.seconds
    return "none" if seconds is None else f"{format_number(seconds)} s"


def used_seeds(row: Row) -> str:
    """The seeds, diverged ones among them."""
    return format_seeds(run.experiment.seed for run in row.runs)


def trivial_loss(row: Row) -> str:
    """The trivial loss, to the digits that do not depend on the machine."""
    return " or ".join(sorted({f"{loss:.9g}" for loss in row.results("trivial_loss") if loss is not None})) or "none"


UNSAID = {f"numerics.{name}": value for name, value in asdict(Numerics()).items()}
"""What configurations leave out where it is as usual."""


def setting(key: str) -> Callable[[Row], str]:
    """An entry of the flattened configuration."""

    def of(row: Row) -> str:
        value = flatten(row.experiment).get(key, UNSAID.get(key))
        return "none" if value is None else format_option(value)

    return of


def machine(name: str) -> Callable[[Row], str]:
    """An entry of `timing.json`."""
    return lambda row: " or ".join(sorted({str(run.timing.get(name, "unknown")) for run in row.runs}))


STEPS = Rule(name="steps", of=steps, verb="differ")
BUDGET = Rule(name="budgets of steps", of=setting("budget.steps"), verb="differ")
RULES = (
    Rule(name="seeds", of=used_seeds, verb="differ"),
    Rule(name="trivial loss", of=trivial_loss),
)
"""What only the runs can tell; the other rules are read off their configurations."""
FREE = ("schema", "task.name", "task.options.", "architecture.", "budget.steps", "budget.log_every")
"""The beginnings of settings that may differ: what is compared, and how it is watched. Of steps, those made count."""
NAMES = {"budget.seconds": "time limit in seconds", "task.source": "the task's own code"}
MACHINE = tuple(Rule(name=name, of=machine(name)) for name in ("device", "processor", "threads", "torch"))


def fairness(section: Section) -> tuple[bool, tuple[str, ...]]:
    """Whether all rules hold, and the sentences that say so or name what differs."""
    rows = section.rows
    goals = {row.experiment.budget.until for row in rows}
    # Where runs end at a goal, the steps that they made are what is compared.
    faults = broken(rows, [STEPS if goals == {None} else BUDGET, *configured(rows), *RULES])
    if len(rows) == 1:
        sentences = ["There is one row, and nothing to compare it with."]
    elif faults:
        sentences = [f"Not all rows were trained alike: {'; '.join(faults)}."]
    else:
        had = f"steps ({steps(rows[0])})" if goals == {None} else f"budget of steps ({BUDGET.of(rows[0])})"
        sentences = [
            f"All rows had the same {had}, batch size ({rows[0].experiment.budget.batch_size}), "
            f"optimiser settings ({settings(rows[0])}) and seeds ({used_seeds(rows[0])})."
        ]
    if len(goals) == 1 and goals != {None}:
        sentences.append(
            f"A run ended at the first row of metrics by which its goal was met ({goals.pop()}): what compares is the "
            "steps made, not the losses at the end."
        )
    limits = {time_limit(row) for row in rows}
    if len(limits) == 1 and limits != {"none"}:
        sentences.append(f"The limit on training time was {limits.pop()} a run; steps made within it depend on speed.")
    sentences += sizes(rows) + reaches(rows)
    if machines := broken(rows, MACHINE):
        sentences.append(f"Seconds a step cannot be compared: {'; '.join(machines)}.")
    return not faults, tuple(sentences)


def configured(rows: Sequence[Row], free: Collection[str] = ()) -> list[Rule]:
    """A rule for each setting that must be the same.

    Args:
        rows: of the section.
        free: settings that may differ here, beside those that always may.
    """
    keys = {key for row in rows for key in flatten(row.experiment) if not key.startswith(FREE)}
    return [
        Rule(name=NAMES.get(key, key.rpartition(".")[2].replace("_", " ")), of=setting(key))
        for key in sorted(keys.difference(free))
    ]


def broken(rows: Sequence[Row], rules: Sequence[Rule]) -> list[str]:
    """For each rule that does not hold, who has what: `steps differ: lstm 2000, rda 500`."""
    found = []
    for rule in rules:
        values = {row.label: rule.of(row) for row in rows}
        if len(set(values.values())) > 1:
            found.append(f"{rule.name} {rule.verb}: {', '.join(grouped(values))}")
    return found


def grouped(values: dict[str, str]) -> list[str]:
    """Each row with its value; one that many rows share is that of all others."""
    commonest = max(values.values(), key=list(values.values()).count)
    shared = sum(value == commonest for value in values.values()) > OTHERS
    named = [f"{label} {value}" for label, value in values.items() if not (shared and value == commonest)]
    return [*named, f"all others {commonest}"] if shared else named


def settings(row: Row) -> str:
    """The optimiser in words."""
    given = row.experiment.optimization
    parts = [given.optimizer, f"learning rate {given.learning_rate:g}"]
    if given.clip != "none":
        parts.append(f"gradients clipped by {given.clip} at {given.clip_at:g}")
    if given.schedule != "constant":
        parts.append(f"{given.schedule} schedule")
    parts += [f"{name.replace('_', ' ')} {value:g}" for name in EXTRAS if (value := getattr(given, name))]
    return ", ".join(parts)


EXTRAS = ("weight_decay", "momentum", "warmup_steps")
"""Settings that are worth a word where they are not 0."""


def sizes(rows: Sequence[Row]) -> list[str]:
    """Whether the widths are equal, or the parameters matched, and how far apart they are."""
    if len(rows) < 2:
        return []
    widths = {str(row.experiment.architecture.options.get("hidden_size", "unknown")) for row in rows}
    parameters = [parameter for row in rows for parameter in row.results("parameters")]
    spread = 100 * (max(parameters) - min(parameters)) / max(1, min(parameters))
    apart = (
        f"from {format_count(min(parameters))} to {format_count(max(parameters))}, a spread of {format_percent(spread)}"
    )
    if widths == {"unknown"}:
        return [f"Parameters {apart}."]
    if len(widths) == 1:
        return [f"Widths are equal (hidden size {widths.pop()}); parameters {apart}."]
    if spread <= MATCH_TOLERANCE:
        return [f"Parameters are matched, {apart}; widths differ."]
    known = ", ".join(sorted(widths, key=natural_sort_key))
    return [f"Neither widths nor parameters are equal: hidden size {known}; parameters {apart}."]


def reaches(rows: Sequence[Row]) -> list[str]:
    """Who cannot see the whole sequence."""
    short = [
        f"{row.label} {format_count(reach)} of {format_count(time)} steps"
        for row in rows
        for reach, time in zip(row.results("receptive_field")[:1], row.results("time")[:1], strict=True)
        if reach is not None and reach < time
    ]
    return [f"Cannot see the whole sequence: {', '.join(short)}."] if short else []
