"""wandb-workspaces, imported when it is needed: it brings the whole of W&B."""

import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from workbench.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The modules of wandb-workspaces."""

    workspaces: Any
    reports: Any
    expr: Any
    view: Any
    """The model that a workspace is serialised by."""


@cache
def library() -> Library:
    """The modules.

    Raises:
        UserError: if they are not installed.
    """
    if find_spec("wandb") is None or find_spec("wandb_workspaces") is None:
        raise UserError("a workspace needs wandb-workspaces: pip install 'sequence-workbench[workspaces]'")
    with warnings.catch_warnings():
        # Its models are declared in a way that pydantic will drop one day.
        warnings.simplefilter("ignore")
        import wandb_workspaces.reports.v2 as reports
        import wandb_workspaces.workspaces as workspaces
        from wandb_workspaces import expr
        from wandb_workspaces.workspaces.internal import View
    return Library(workspaces=workspaces, reports=reports, expr=expr, view=View)
