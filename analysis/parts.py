"""A probe of several measures, of which each may be unavailable by itself."""

from collections.abc import Callable, Mapping

from analysis.faults import LACKING, MachineError, reason
from analysis.findings import Curve, Findings, NotAvailableError, Number
from analysis.settings import Settings
from analysis.subjects import Subject
from workbench.errors import UserError
from workbench.files import one_line

Part = Callable[[Subject, Settings], Findings]


def gathered(parts: Mapping[str, Part], subject: Subject, settings: Settings) -> Findings:
    """What all parts find in a model. One that fails, or has nothing, costs its own findings only.

    Args:
        parts: by the name under which a reason stands where one is not available.

    Raises:
        NotAvailableError: if none of them finds anything.
        MachineError: if the GPU failed, or none finds anything and one lacked memory.
    """
    numbers: dict[str, Number] = {}
    curves: dict[str, Curve] = {}
    words: dict[str, str] = {}
    missing: dict[str, str] = {}
    for name, part in parts.items():
        try:
            found = part(subject, settings)
        except UserError:
            raise
        except NotAvailableError as error:
            missing[name] = one_line(error)
        except Exception as error:
            # The user's own architecture or task may fail in any way, and the other measures go on.
            missing[name] = reason(error, subject.model.device)
        else:
            numbers |= found.numbers
            curves |= found.curves
            words |= found.words
            missing |= found.missing
    if not numbers and not curves and LACKING in missing.values():
        raise MachineError(LACKING)
    if not numbers and not curves:
        raise NotAvailableError("; ".join(f"{name.replace('_', ' ')}: {reason}" for name, reason in missing.items()))
    return Findings(numbers=numbers, curves=curves, words=words, missing=missing)
