"""Choice of a learning rate from a preset's grid: on validation alone, with seeds that no table counts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from analysis.comparison.intervals import LEAST_LOSS
from analysis.presets.metric import first_step_reached
from analysis.presets.preset import PlannedRun, Preset
from analysis.presets.status import RunsStatus, load_runs_status, merge_status
from workbench.config import TUNING_SEED, Experiment
from workbench.results import Run
from workbench.stopping import Goal


@dataclass(frozen=True, slots=True, kw_only=True)
class RateScore:
    """Results of one rate on the validation set."""

    rate: float
    losses: tuple[float, ...]
    """The loss of each finished trial at its end, infinite if it diverged."""
    steps: tuple[float, ...] = ()
    """The step at which each finished trial reached the preset's goal, infinite if never; empty without a goal."""

    @property
    def key(self) -> tuple[float, float]:
        """What rates are ordered by, less being better: the median step to the goal, then the geometric mean loss."""
        median = float(np.median(self.steps)) if self.steps else 0.0
        return median, float(np.mean(np.log(np.maximum(self.losses, LEAST_LOSS))))


@dataclass(frozen=True, slots=True, kw_only=True)
class RateChoice:
    """The rates of one row and variant, and the one that was chosen."""

    row: str
    variant: int
    scores: tuple[RateScore, ...]
    """In the order of the grid; rates without a finished trial are left out."""
    trials: int
    """Number of trials of each rate, once all are finished."""
    chosen: float | None
    """`None` until every trial of the row is finished."""

    @property
    def is_at_edge(self) -> bool:
        """True if the first or the last of several rates was chosen, so that a better one may lie beyond it."""
        rates = [score.rate for score in self.scores]
        return len(rates) > 1 and self.chosen in (min(rates), max(rates))


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetProgress:
    """How far a preset is in a folder of results."""

    status: RunsStatus
    """All of it: trials of rates, and the runs of the table, also those whose rate is not chosen yet."""
    planned: tuple[PlannedRun, ...]
    """The runs of the table, with the rates that are chosen."""
    decided: tuple[Experiment, ...]
    """The experiments of those whose rates are chosen, so that they can be trained."""
    runs: tuple[Run, ...]
    """The finished ones among them."""
    choices: tuple[RateChoice, ...]


def plan_trials(planned: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Returns the trials of every rate of every row and variant with a grid, seed by seed.

    They have seeds of their own, as tuning has: a rate that was chosen for its results with some seeds has to prove
    itself on others.
    """
    firsts = {(run.variant, run.row): run for run in reversed(planned)}
    ordered = [firsts[key] for key in dict.fromkeys((run.variant, run.row) for run in planned)]
    trials = [
        replace(run, experiment=with_rate(run.experiment.with_seed(TUNING_SEED + number), rate))
        for run in ordered
        for number in range(run.rate_seeds)
        for rate in run.rates
    ]
    return sorted(trials, key=lambda trial: trial.experiment.seed)


def with_rate(experiment: Experiment, rate: float) -> Experiment:
    """Returns an experiment with another learning rate."""
    return replace(experiment, optimization=replace(experiment.optimization, learning_rate=rate))


def load_progress(out: Path, preset: Preset, planned: Sequence[PlannedRun]) -> PresetProgress:
    """Loads the runs and trials of a preset from a folder of results, and chooses rates where all trials are finished.

    Raises:
        UserError: if the folder of a run was not written by this experiment.
    """
    trials = plan_trials(planned)
    trial_status = load_runs_status(out, [trial.experiment for trial in trials])
    choices = tuple(choose_rates(preset, trials, trial_status.runs))
    chosen = {(choice.row, choice.variant): choice.chosen for choice in choices}
    everything: list[PlannedRun] = []
    decided: list[PlannedRun] = []
    undecided: list[PlannedRun] = []
    for run in planned:
        rate = chosen.get((run.row, run.variant))
        if rate is not None:
            run = replace(run, experiment=with_rate(run.experiment, rate))
        everything.append(run)
        (undecided if run.rates and rate is None else decided).append(run)
    table = load_runs_status(out, [run.experiment for run in decided])
    waiting = RunsStatus(experiments=tuple(run.experiment for run in undecided), runs=(), under_way=())
    status = merge_status([trial_status, table, waiting])
    return PresetProgress(
        status=status, planned=tuple(everything), decided=table.experiments, runs=table.runs, choices=choices
    )


def choose_rates(preset: Preset, trials: Sequence[PlannedRun], runs: Sequence[Run]) -> Iterator[RateChoice]:
    """Yields the choice of each row and variant: the fewest steps to the goal, or else the lowest loss, on validation.

    The goal is the preset's first metric if that is a bound on the validation set; all else would not be validation.
    Of equal rates, the first of the grid is chosen.
    """
    goal = preset.measures[0].goal if preset.measures and preset.measures[0].is_per_row else None
    by_key = {(run.experiment.identity, run.experiment.seed): run for run in runs}
    for row, variant in dict.fromkeys((trial.row, trial.variant) for trial in trials):
        own = [trial for trial in trials if (trial.row, trial.variant) == (row, variant)]
        scores = []
        for rate in own[0].rates:
            keys = [
                (trial.experiment.identity, trial.experiment.seed)
                for trial in own
                if trial.experiment.optimization.learning_rate == rate
            ]
            finished = [by_key[key] for key in keys if key in by_key]
            if finished:
                scores.append(score_rate(rate, finished, goal))
        complete = sum(len(score.losses) for score in scores) == len(own)
        best = min(scores, key=lambda score: score.key).rate if complete else None
        yield RateChoice(row=row, variant=variant, scores=tuple(scores), trials=own[0].rate_seeds, chosen=best)


def score_rate(rate: float, runs: Sequence[Run], goal: Goal | None) -> RateScore:
    """Returns the results of one rate's trials on the validation set."""
    reached = [] if goal is None else [first_step_reached(run.metrics(), goal) for run in runs]
    return RateScore(
        rate=rate,
        losses=tuple(validation_loss(run) for run in runs),
        steps=tuple(math.inf if step is None else step for step in reached),
    )


def validation_loss(run: Run) -> float:
    """Returns the loss on the validation set at the end of a run; infinite if it diverged."""
    loss = (run.result.get("validation") or {}).get("loss")
    return math.inf if loss is None or run.diverged or not math.isfinite(loss) else float(loss)
