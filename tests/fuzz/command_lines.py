"""Command lines over every command, right and wrong, on folders that are sound, damaged or not there.

python -m tests.fuzz.command_lines --seed 17                  one case, with what it printed
python -m tests.fuzz.command_lines --first 0 --count 2000     many, with what is wrong with any
"""

import argparse
import gc
import importlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import architectures
from tests import fork_server
from tests.fuzz import results, texts
from tests.fuzz.guard import Outcome, run_guarded
from workbench import tasks
from workbench.cli.main import COMMANDS, main

PRELOADED = (
    *(*fork_server.PRELOADED, "sklearn.model_selection", "workbench.cli.sweep.tune", "optuna_dashboard", "wandb"),
    *("analysis.report.build", "analysis.report.side_by_side", "analysis.probes.runner", "analysis.profile.profiler"),
    *(
        "analysis.profile.output",
        "analysis.papers.page",
        "analysis.papers.claims_page",
        "matplotlib.backends.backend_svg",
    ),
    *("analysis.dashboards.server.app", "analysis.dashboards.mirror.mirror"),
)
"""Modules that commands import, some after they have begun; each case is forked from a process that has them."""

QUICK_COMPARE = ("--tasks", "addition", "--architectures", "gru", *results.QUICK, *results.LENGTH, "--workers", "1")
RIGHT: dict[str, Sequence[Sequence[str]]] = {
    "list": [(), ("gru",), ("addition",), ("rda",)],
    "train": [
        (
            "--task",
            "addition",
            "--architecture",
            "gru",
            *results.QUICK,
            *results.LENGTH,
            "--wandb",
            "off",
            "--out",
            "new",
        )
    ],
    "compare": [
        (*QUICK_COMPARE, "--seeds", "1", "--wandb", "off", "--out", "new"),
        ("--config", "results/comparison.yaml", *results.QUICK, "--wandb", "off", "--out", "new"),
    ],
    "sweep": [(), ("--help",)],
    "sweep run": [(*QUICK_COMPARE, "--trials", "1", "--seeds", "1", "--wandb", "off", "--out", "new")],
    "sweep worker": [("tuned",)],
    "sweep status": [("tuned",)],
    "sweep best": [("tuned",), ("tuned", "--yaml", "winners")],
    "sweep report": [("tuned",)],
    "sweep dashboard": [("tuned", "--port", "0")],
    "reproduce": [("--list",), ("--claims",)],
    "analyze": [
        ("results", "--probes", "gradient_decay", "--sequences", "2", "--directions", "2", "--workers", "1"),
        (
            "--untrained",
            "gru",
            "--task",
            "addition",
            "--probes",
            "gradient_decay",
            "--sequences",
            "2",
            "--directions",
            "2",
            "--out",
            "new",
        ),
    ],
    "profile": [
        (
            "--architectures",
            "gru",
            "--lengths",
            "3",
            "--batch-size",
            "2",
            "--hidden-size",
            "3",
            "--repeats",
            "1",
            "--threads",
            "1",
            "--memory",
            "returned",
        ),
    ],
    "sync": [("results", "--dry-run")],
    "dashboard": [(), ("results",)],
    "dashboard build": [("results",)],
    "dashboard push": [("results",)],
    "view": [("results", "--port", "0")],
    "report": [("results",), ("results", "tuned")],
    "export": [("results", "--to", "out.tar.gz")],
    "import": [("results.tar.gz", "--out", "new"), ("results.tar.gz", "--out", "results")],
    "rm": [("results", "--all", "--dry-run"), ("results", "--architecture", "gru", "--yes")],
}
"""Command lines that are right, for every command; wrong ones are made of them."""

WEIGHTS = {
    "compare": 5,
    "train": 4,
    "sweep run": 4,
    "analyze": 3,
    "report": 4,
    "import": 3,
    "profile": 2,
    "rm": 2,
    "sweep report": 2,
    "sweep best": 2,
    "sweep status": 2,
    "export": 2,
    "sync": 2,
    "dashboard build": 2,
}
SERVERS = ("view", "sweep dashboard")
READY = "until Ctrl-C"
"""What a server prints once it serves."""
LIGHT_PRELOADED = (
    *("workbench.cli.compare", "workbench.cli.train", "workbench.cli.list", "workbench.cli.export"),
    *("workbench.cli.import_archive", "workbench.cli.rm"),
)
LIGHT = ("list", "train", "compare", "export", "import", "rm", "sweep", "sync")
"""Commands that import little, for the quick subset."""

PLAUSIBLE: dict[str, Sequence[str]] = {
    "tasks": ("addition", "copy", "digits,addition", "multicopy"),
    "task": ("addition", "copy", "alternation", "classify-length", "text"),
    "architectures": ("lstm", "gru,rnn", "tcn,han", "rda-exp-tanh"),
    "architecture": ("lstm", "rwa", "han-bidirectional"),
    "steps": ("1", "3"),
    "seconds": ("0.2",),
    "until": ("solved", "val/loss < 0.1"),
    "out": ("new", "results", "tuned", "deep/er/folder"),
    "device": ("cpu", "auto", "cuda"),
    "config": ("results/comparison.yaml", "tuned/sweep.yaml", "file"),
    "probes": ("discount_dynamics", "gradient_decay,alternation"),
    "lengths": ("2,5",),
    "storage": ("sqlite:///tuned/sweep.db", "sqlite:///file"),
    "to": ("out.tar.gz", "results/runs/x.tar.gz", "out.zip"),
    "json": ("out.json", "results/out.json"),
    "format": ("svg", "pdf,png"),
    "palette": ("grey", "tab10", "colorblind"),
    "space": ("{low: 1, high: 3}", "[1, 2]", "null"),
    "status": ("finished", "unfinished,failed"),
    "workers": ("1",),
    "threads": ("1", "2"),
    "trials": ("1", "2"),
    "seeds": ("1",),
    "data-dir": ("results", "."),
}
"""Values that options may have and that keep a case short."""
FOLDERS = (
    "results",
    "tuned",
    "new",
    ".",
    "..",
    "file",
    "results/runs",
    "results/runs/addition",
    "results.tar.gz",
    "nowhere",
)


@dataclass(slots=True, kw_only=True)
class Case:
    """A command line, and what is in the folder that it is called in."""

    seed: int
    command: str
    words: list[str]
    document: bytes | None = None
    """Content of `file`."""
    damages: int = 0
    """How many things are damaged in the folders of results."""
    notes: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> list[str]:
        """The whole command line, as a program receives it: without NUL, which ends a word."""
        return [word.replace("\x00", "") for word in (*self.command.split(), *self.words)]

    def __str__(self) -> str:
        shown = [word if len(word) < 200 else f"{word[:80]}...({len(word)} characters)" for word in self.arguments]
        told = "".join(f"\n  {note}" for note in self.notes)
        return f"workbench {' '.join(shlex.quote(word) for word in shown)}".encode("unicode_escape").decode() + told


def make_case(seed: int, commands: Sequence[str] = tuple(RIGHT)) -> Case:
    """Returns the case of a seed."""
    rng = Random(f"command line {seed}")
    command = rng.choices(commands, [WEIGHTS.get(name, 1) for name in commands])[0]
    case = Case(seed=seed, command=command, words=list(rng.choice(RIGHT[command])))
    if rng.random() < 0.3:
        case.document = texts.document(rng)
    if rng.random() < 0.45:
        case.damages = rng.choice((1, 1, 1, 2, 5))
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2) if case.damages else (1, 1, 1, 2, 2, 3, 5))):
        mutate(case, rng)
    if rng.random() < 0.01:
        case.command = texts.text(rng) or "x"
    return case


def mutate(case: Case, rng: Random) -> None:
    """Makes one change to a command line."""
    words = case.words
    match rng.randrange(10):
        case 0 | 1 | 2 | 3:
            words += option(case.command, rng)
        case 4 | 5:
            # Another value for an option that is there, or for a positional argument.
            places = [index for index, word in enumerate(words) if not word.startswith("-")]
            if places:
                index = rng.choice(places)
                name = words[index - 1].lstrip("-") if index and words[index - 1].startswith("-") else "out"
                words[index] = argument(name, rng)
        case 6:
            if words:
                del words[rng.randrange(len(words))]
        case 7:
            words.insert(rng.randint(0, len(words)), texts.text(rng))
        case 8:
            if words:
                words.append(rng.choice(words))
        case 9:
            words += ["--config", rng.choice(("file", "results/comparison.yaml", "results", "tuned/sweep.yaml"))]


def option(command: str, rng: Random) -> list[str]:
    """Returns an option of a command, or one of a task, an architecture or a space, with a value or without."""
    known = options_of(command)
    if rng.random() < 0.35 or not known:
        flag, name = named_option(rng)
    else:
        flag = rng.choice(known)
        name = flag.lstrip("-")
    if rng.random() < 0.05:
        flag = flag[:-1] + texts.text(rng)[:3]
    if flag.endswith("!"):
        return [flag[:-1]]
    if rng.random() < 0.05:
        return [flag]
    text = argument(name, rng)
    return [f"{flag}={text}"] if rng.random() < 0.3 else [flag, text]


def named_option(rng: Random) -> tuple[str, str]:
    """Returns an option of a task, an architecture or a space, and the name under which its values are kept."""
    kind = rng.choice(("task", "architecture", "architecture", "space"))
    names = tasks.names() if kind == "task" else architectures.names()
    owner = rng.choice((*names, "addition", "gru", "all", texts.text(rng)[:20]))
    if owner in tasks.names():
        known = [*tasks.options(owner)]
    elif owner in architectures.names():
        known = [*architectures.options(owner)]
    else:
        known = ["learning_rate", "hidden_size"]
    name = rng.choice(known or ["length"]) if rng.random() < 0.9 else texts.text(rng)[:20]
    return f"--{kind}.{owner}.{name}", "space" if kind == "space" else name


def argument(name: str, rng: Random) -> str:
    """Returns a value for an option."""
    roll = rng.random()
    if name in PLAUSIBLE and roll < 0.35:
        return rng.choice(PLAUSIBLE[name])
    if name in ("out", "dir", "yaml", "to", "pages", "config", "json", "file") and roll < 0.6:
        return rng.choice(FOLDERS)
    return texts.text(rng)


@cache
def options_of(command: str) -> list[str]:
    """Returns the options of a command, from its parser; those without a value with an exclamation mark."""
    group, _, name = command.partition(" ")
    if group not in COMMANDS or (group in ("dashboard", "sweep") and not name) or group == "list":
        return []
    module = importlib.import_module(f"workbench.cli.sweep.{name}" if group == "sweep" else COMMANDS[group][0])
    parser = module.build_parser(name, "", "") if group == "dashboard" else module.build_parser()
    found = []
    for action in parser._actions:
        flags = [flag for flag in action.option_strings if flag.startswith("--") and not flag.endswith("+")]
        if flags and flags[0] not in ("--watch",):
            found.append(flags[0] + ("!" if action.nargs == 0 else ""))
    return found


def run_case(case: Case, source: Path, workplace: Path) -> Outcome:
    """Runs a case in a folder of its own; the folder is removed."""
    folder = workplace / f"case-{case.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(workplace / f"{folder.name}-streams", ignore_errors=True)
    folder.mkdir()
    results.place(source, folder)
    if case.document is not None:
        (folder / "file").write_bytes(case.document)
        case.notes.append(f"file holds {case.document[:60]!r} ({len(case.document)} bytes)")
    rng = Random(f"damage {case.seed}")
    for _ in range(case.damages):
        case.notes.append(results.damage(folder / rng.choice(("results", "tuned")), rng))
    if case.damages and case.command == "import" and rng.random() < 0.7:
        archive = bytearray((folder / "results.tar.gz").read_bytes())
        for _ in range(rng.choice((1, 3, 100))):
            archive[rng.randrange(len(archive))] = rng.randrange(256)
        (folder / "results.tar.gz").write_bytes(archive[: rng.choice((10, len(archive), len(archive) - 7))])
        case.notes.append("results.tar.gz with other bytes")
    kept = {key: os.environ[key] for key in ("PATH", "LANG", "OMP_NUM_THREADS", "PYTHONPATH") if key in os.environ}
    environment = {
        **kept,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder),
        "MPLCONFIGDIR": str(folder / "home"),
        "WORKBENCH_DATA": str(source / "data"),
        "WORKBENCH_BACKEND": "eager",
        "WANDB_MODE": "offline",
    }
    try:
        return run_guarded(
            partial(main, case.arguments),
            folder,
            environment,
            interrupt_at=READY if case.command in SERVERS else None,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(workplace / f"{folder.name}-streams", ignore_errors=True)


def find_faults(
    seeds: Sequence[int],
    commands: Sequence[str] = tuple(RIGHT),
    *,
    full: bool = True,
    given: Path | None = None,
    report: Callable[[Case, Outcome], None] = lambda case, outcome: None,
) -> Iterator[str]:
    """Yields what is wrong with the cases of some seeds, with the command that repeats each.

    Args:
        seeds: of the cases.
        commands: those to choose from.
        full: as in `results.prepare`.
        given: a folder that has, or is to have, what cases are given, for the next time; by default it is made anew.
        report: called with every case and what it did.
    """
    for name in PRELOADED if full else LIGHT_PRELOADED:
        importlib.import_module(name)
    if full:
        # It starts a Python of its own, whose import of PyTorch takes seconds.
        memory: Any = importlib.import_module("analysis.profile.memory")
        memory.peak_on_cpu = lambda cases, threads: [None] * len(cases)
    with tempfile.TemporaryDirectory(prefix="workbench-fuzz-") as name:
        workplace = Path(name)
        source = given or workplace / "source"
        if not source.exists():
            source.mkdir()
            results.prepare(source, full=full)
        # What is there is not looked at again, and so not copied, by every process that is forked.
        gc.collect()
        gc.freeze()
        for seed in seeds:
            case = make_case(seed, commands)
            outcome = run_case(case, source, workplace)
            report(case, outcome)
            if faults := outcome.faults():
                repeat = f"python -m tests.fuzz.command_lines --seed {seed}{'' if full else ' --light'}"
                yield "\n".join([f"{repeat}:", str(case), *faults])


def add_seed_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of every fuzzer: one seed, or many."""
    parser.add_argument("--seed", type=int, default=None, help="run this case alone, and show what it did")
    parser.add_argument("--first", type=int, default=0, help="the first of many seeds")
    parser.add_argument("--count", type=int, default=100, help="how many")


def run_fuzzer(arguments: Sequence[str] | None = None) -> int:
    """Runs cases, and prints what is wrong with them; returns 1 if anything is."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.command_lines")
    add_seed_options(parser)
    parser.add_argument("--light", action="store_true", help="commands that import little")
    parser.add_argument("--given", type=Path, default=None, help="a folder to keep the results that cases are given")
    values = parser.parse_args(arguments)
    seeds = range(values.first, values.first + values.count) if values.seed is None else [values.seed]
    slowest: list[tuple[float, int]] = []
    statuses: dict[Any, int] = {}

    def report(case: Case, outcome: Outcome) -> None:
        slowest.append((outcome.seconds, case.seed))
        statuses[outcome.status] = statuses.get(outcome.status, 0) + 1
        if values.seed is not None:
            print(f"{case}\nstatus {outcome.status} after {outcome.seconds:.2f} s\n{outcome.output}{outcome.errors}")

    found = 0
    commands = LIGHT if values.light else tuple(RIGHT)
    for fault in find_faults(seeds, commands, full=not values.light, given=values.given, report=report):
        found += 1
        print(f"{fault}\n", flush=True)
    print(f"{len(seeds)} command lines, {found} with faults; statuses {statuses}")
    print("slowest: " + ", ".join(f"seed {seed} {seconds:.1f} s" for seconds, seed in sorted(slowest)[-5:]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(run_fuzzer())
