"""Whether what has been put out is dropped, as findings; on tasks of episodes."""

from collections.abc import Sequence

import numpy as np

from analysis.discount.gated import as_number
from analysis.findings import Curve, Findings
from analysis.measures import episodes as measure
from analysis.measures import two_way
from analysis.measures.divided import divided
from analysis.measures.episodes import Episodes, Layout

POSITION = "step since an episode's start"


def findings(parts: Sequence[Episodes], layout: Layout) -> Findings:
    """All numbers and curves of what is held of past episodes."""
    shown, used, left, needed, held, earlier, each = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("shown", "used", "left", "needed", "held", "earlier", "by_episode")
    )
    pair = np.stack([left, used], axis=2)
    span = layout.items + layout.gap + 1
    numbers = {
        "dropped_after_use": as_number(
            two_way.two_way(pair, measure.dropped),
            "share",
            f"what was held of an episode's symbols after its last step of recall, that is gone {span} steps later, "
            "at the next mark",
        ),
        "kept_until_used": as_number(
            two_way.two_way(np.stack([used, shown], axis=2), two_way.ratio),
            "share",
            f"what was held of an episode's symbols after the last of them, that is left {span} steps later, after its "
            "last step of recall",
        ),
        "forgets_on_purpose": as_number(
            two_way.two_way(np.stack([needed - left, used], axis=2), measure.margin),
            # No share: it is negative where less is kept while it is needed.
            "1",
            f"share kept over {span} steps while it was needed, less share kept over the next {span}; 0 for any steady "
            "forgetting",
        ),
        "held_over": as_number(
            two_way.two_way(earlier[:, :, -1], two_way.mean),
            "share",
            "influence of all earlier episodes at an episode's last step",
        ),
    }
    total = each.sum(0)
    by_episode = divided(total[:, 0] - total[:, 1], total[:, 0])
    curves = {
        "held_symbols": Curve.of(
            np.arange(1, held.shape[1] + 1),
            np.nanmean(held, axis=0),
            x_unit=POSITION,
            y_unit="share",
            what="share of the influence that an episode's symbols have, to the end of the next episode",
        ),
        "held_over": Curve.of(
            np.arange(1, layout.steps + 1),
            np.nanmean(earlier, axis=(0, 1)),
            x_unit=POSITION,
            y_unit="share",
            what="share of the influence that all earlier episodes have",
        ),
        "dropped_by_episode": Curve.of(
            np.arange(1, len(by_episode) + 1),
            by_episode,
            x_unit="episode",
            y_unit="share",
            what="share of what was held after an episode's recall that is gone at the next mark",
        ),
    }
    return Findings(numbers=numbers, curves=curves)
