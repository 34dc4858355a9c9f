"""What studies are called beside each other."""

from collections.abc import Sequence

from analysis.formats import printable
from workbench.study_files import Study


def labels(studies: Sequence[Study]) -> list[str]:
    """The architecture of each study; the study's own name where several have tuned the same one."""
    known = [study.architecture for study in studies]
    return [printable(study.name if known.count(study.architecture) > 1 else study.architecture) for study in studies]
