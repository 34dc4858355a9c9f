"""Lemma 1 of the RDA paper: to alternate, the attention of a recurrent weighted average has to grow geometrically.

What the lemma asks for, as it stands and through a read-out, is in `analysis/measures/growth.py`.
"""

import sys
from dataclasses import replace

from analysis import alone
from analysis.faults import LACKING, reason
from analysis.findings import Findings, NotAvailableError
from analysis.lemma.answers import BEYOND, answers, beyond
from analysis.lemma.chapter import chapter
from analysis.lemma.inside import inside
from analysis.settings import Settings
from analysis.subjects import Subject
from workbench.tasks.alternation import Alternation


def measure(subject: Subject, settings: Settings) -> Findings:
    """Answers, write and attention of the model at its task's length, and on to four times as much.

    Raises:
        NotAvailableError: if its task is another than alternation.
    """
    if not isinstance(subject.task, Alternation):
        raise NotAvailableError("lemma 1 is about the task alternation alone")
    task = replace(subject.task, length=settings.length or subject.task.length)
    found = [answers(subject, task)]
    missing: dict[str, str] = {}
    try:
        found.append(beyond(subject, task))
    except Exception as error:
        # A model may be bound to its training length.
        why = reason(error, subject.model.device)
        missing["loss_beyond"] = why if why == LACKING else f"not at {BEYOND} times the length: {why}"
    try:
        found.append(inside(subject, task))
    except NotAvailableError as error:
        missing["write"] = str(error)
    for each in found:
        missing |= each.missing
    return Findings(
        numbers={name: value for each in found for name, value in each.numbers.items()},
        curves={name: value for each in found for name, value in each.curves.items()},
        words={name: value for each in found for name, value in each.words.items()},
        missing=missing,
    )


__all__ = ["chapter", "measure"]

if __name__ == "__main__":
    sys.exit(alone.main("alternation"))
