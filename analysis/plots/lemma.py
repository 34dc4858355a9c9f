"""The figure of the chapter on lemma 1."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from analysis.plots.discount import drawn, lines, scale, straight
from analysis.plots.panel import AID, Line, Panel
from analysis.probed import Probed
from analysis.style import DOTTED


def draw(rows: Sequence[Probed]) -> Figure | None:
    """Error, growth of log a with its bounds, and write against the step."""
    error, attention, write = (lines(rows, name) for name in ("error", "log_attention", "write"))
    of_data = straight([Line(label=each.label, x=each.x, y=each.y, look=each.look) for each in attention])
    if of_data is not None:
        for name, label, dash in (
            ("growth_needed", "needed", AID["linestyle"]),
            ("growth_of_lemma", "lemma as it stands", DOTTED),
        ):
            needed = next((found for row in rows if (found := row.number(name)) is not None), None)
            if needed is not None:
                x = attention[0].x
                y = needed.value * (x - x[0])
                # No further than to where the measured lines end.
                y = np.where(y <= of_data.high, y, np.nan)
                attention.append(Line(label=label, x=x, y=y, look={**AID, "linestyle": dash}))
    if write:
        x = max((each.x for each in write), key=len)
        write.append(Line(label="1 / t", x=x, y=1 / x, look=AID))
    return drawn(
        Panel(lines=error, x_label="step", y_label="squared error (logarithmic)", scale=scale(error)),
        Panel(lines=attention, x_label="step", y_label="log a, nats", scale=of_data),
        Panel(lines=write, x_label="step (logarithmic)", y_label="write (logarithmic)", log_x=True, scale=scale(write)),
    )
