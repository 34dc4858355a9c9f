"""`workbench.load` and `workbench.report`: results that are in a folder already."""

from pathlib import Path

from workbench.api.calls import api
from workbench.api.results import Results
from workbench.files import ensure_writable
from workbench.results import finished_runs
from workbench.results_folder import existing_folder


@api
def load(folder: str | Path) -> Results:
    """Returns all finished runs in a folder of results. Nothing in it is executed.

    Args:
        folder: of the results, as it was named as `out`.

    Raises:
        UserError: if there is no such folder, or a run in it cannot be read.
    """
    path = existing_folder(folder)
    return Results(path, list(finished_runs(path)))


@api
def report(folder: str | Path | Results, *, palette: str = "workbench", formats: str = "svg,png") -> Path:
    """Writes the report of a folder again: `report.html`, `comparison.csv`, `curves.csv`, figures and tables.

    Args:
        folder: of the results, or results in it.
        palette: colors of figures and tables: workbench, grey, or a qualitative palette of seaborn or matplotlib.
        formats: of the figures' files: svg, png, pdf, or several with commas.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: if there are no results, or a value is invalid.
    """
    from analysis import palettes, style
    from analysis.report.build import write_report

    path = existing_folder(folder.folder if isinstance(folder, Results) else folder)
    chosen = style.parse_formats(formats)
    palettes.check_palette(palette)
    ensure_writable(path)
    with palettes.use_palette(palette), style.use_formats(chosen):
        return write_report(path)
