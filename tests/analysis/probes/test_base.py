"""Tasks with sequences of another length."""

import pytest

from analysis.probes.base import with_length_factor, with_steps
from analysis.probes.result import NotAvailableError
from workbench.tasks import build


def test_lengths_are_changed_where_the_task_lets_them() -> None:
    copy = build("copy", length=30, items=4)
    assert with_length_factor(copy, 4).steps == 4 * 30 + 8
    assert with_steps(copy, 100).steps == 100
    assert with_steps(copy, None) is copy
    assert with_steps(build("digits"), 64).steps == 64
    for task, steps in ((build("digits"), 100), (build("multicopy"), 100), (copy, 8)):
        with pytest.raises(NotAvailableError):
            with_steps(task, steps)
    message = (
        "Copy cannot have sequences of 4 steps, 4 of which are not part of its length: length must be at least 1, not 0"
    )
    with pytest.raises(NotAvailableError, match=message):
        with_steps(build("copy", length=5, items=2), 4)
    with pytest.raises(NotAvailableError, match="no option length"):
        with_length_factor(build("multicopy"), 2)
