"""Chapter that explains the terms of the report."""

from analysis.report.blocks import Chapter, Definitions

TERMS = (
    (
        "mean ± interval",
        "The mean over the seeds that did not diverge, and half the width of its 95 % interval by Student's t "
        "distribution. It says how far off the mean may be because seeds differ, but nothing about what other settings "
        "would give. One seed has no interval, and two have a very wide one. In bold: the lowest mean loss, and every "
        "other whose interval overlaps its own. If there are several, there is no winner.",
    ),
    (
        "trivial baseline",
        "The expected loss of the best answer that remembers nothing. A row beats it if its mean and the upper end of "
        "its interval lie below it.",
    ),
    (
        "solved",
        "How many seeds met the task's criterion on a training batch, each batch being fresh.",
    ),
    (
        "first step",
        "The first step whose batch met the criterion, as the papers count it: one lucky batch is enough. The median "
        "is over all seeds; one that never met it counts as later than all others, so with half of the seeds or more "
        "the median is not reached.",
    ),
    (
        "mean of 50",
        "The same for the mean over the last 50 batches, which one lucky batch does not decide.",
    ),
    ("parameters", "Of the encoder and the read-out together."),
    ("state", "The numbers that the architecture carries over from the end of the task's sequence."),
    ("reach", "The steps back that an output can depend on, this one included; all: there is no bound."),
    ("steps, batch", "The optimiser steps made by the runs that did not diverge, and the sequences in each."),
    (
        "s a step",
        "Seconds of training a step, the mean over the runs. Comparable only between runs on the same machine.",
    ),
    (
        "diverged",
        "The seeds whose loss stopped being a number. They are left out of means and are not solved after it.",
    ),
    (
        "spread of parameters",
        "By how many per cent the largest count exceeds the smallest. Up to 5 % counts as matched.",
    ),
    (
        "published",
        "Figures of the same variant of the task, by the letter of their source. They come from single runs with the "
        "setting that stands beside them, which need not be that of the runs here.",
    ),
)
"""Terms of every report, with their definitions."""

TUNING_TERMS = (
    (
        "trial",
        "One attempt of a search: the architecture with one choice of parameters, trained with a seed of its own and "
        "judged on the validation set. Every architecture has the same number of finished ones; those that were pruned "
        "or diverged count, those that failed or were interrupted do not and are replaced by others.",
    ),
    (
        "pruned",
        "Given up early, as its validation loss lay behind that of earlier trials at the same step.",
    ),
    (
        "tuned, default",
        "Tuned: the parameters of the trial with the lowest validation loss. Default: those of a comparison without a "
        "search. Default / tuned is by what factor tuning lowers the test loss; below 1 it raises it.",
    ),
    (
        "fresh seeds",
        "Seeds that had no part in the search. Winner and default are trained anew with them, and only these runs are "
        "tested: the validation loss that a winner was chosen for is the lowest of many, and so flatters.",
    ),
    (
        "rank, place",
        "By the mean test loss among those that have one both tuned and default. 1=: the interval overlaps that of the "
        "first; (2): there is no interval to tell it from the first.",
    ),
    (
        "importance",
        "The share of the differences in validation loss that a parameter accounts for in a study's trials, by "
        "PED-ANOVA. It depends on the range that was searched.",
    ),
    (
        "Pareto front",
        "With two objectives, the trials that no other beats in one without losing in the other.",
    ),
)
"""Further terms of a report on tuned architectures."""


def chapter(*, tuned: bool = False) -> Chapter:
    """Returns the chapter with the definitions.

    Args:
        tuned: whether the report has chapters on tuning.
    """
    terms = (*TERMS, *TUNING_TERMS) if tuned else TERMS
    return Chapter(anchor="reading", title="How to read this", blocks=(Definitions(terms=terms),))
