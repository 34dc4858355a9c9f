"""Chapter that explains the terms of the report."""

from analysis.report.blocks import Chapter, Definitions

TERMS = (
    (
        "loss [interval]",
        "The mean over the seeds with its 95 % interval, from four seeds on: the geometric mean, unless a loss is "
        "negative, as losses are compared by their ratios. A seed that diverged counts as the largest loss of the "
        "task, or as the trivial loss if that is larger. In bold: the lowest mean, and every other that is not told "
        "apart from it.",
    ),
    (
        "mean ± interval",
        "Of other metrics: the mean over the seeds that did not diverge, and half the width of its 95 % interval by "
        "Student's t distribution. It says how far off the mean may be because seeds differ, but nothing about what "
        "other settings would give. One seed has no interval, and two have a very wide one.",
    ),
    (
        "letters",
        "Rows that share a letter are not told apart, by tests of every pair, corrected for their number. There are "
        "none below four seeds.",
    ),
    (
        "what to distrust",
        "Sizes are called unequal from a factor of 2 on. The loss was still falling if its mean over the last quarter "
        "of training is lower than that over the quarter before by 10 % or more.",
    ),
    (
        "works up to, memory, gradient",
        "How far back a row remembers, after workbench analyze: the length of sequences, in lengths of training (T), "
        "up to which its loss is below the trivial one; how many past inputs can be read from its output; the lag "
        "within which 95 % of its squared gradient lie.",
    ),
    (
        "trivial baseline",
        "The expected loss of the best answer that remembers nothing.",
    ),
    (
        "floor",
        "What a cheap strategy reaches, such as guessing among the values that were shown. A run is at a floor if its "
        "test loss is at most 5 % above the floor's and at most 2 % below, and its accuracy is not above the floor's "
        "by more than chance explains; of several floors, at the nearest.",
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
        "The seeds whose loss stopped being a number. They are left out of means other than that of the loss, and are "
        "not solved after it.",
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
        "search. Default / tuned is by what factor tuning lowers the mean test loss, with its 95 % interval and p "
        "from four seeds on; below 1 it raises it.",
    ),
    (
        "fresh seeds",
        "Seeds that had no part in the search. Winner and default are trained anew with them, and only these runs are "
        "tested: the validation loss that a winner was chosen for is the lowest of many, and so flatters.",
    ),
    (
        "rank, place",
        "By the mean test loss (geometric) among those that have runs of both. Rows that share a letter are not told "
        "apart; below four seeds there are no letters, and ranks are indicative. What is not learned has none.",
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
