"""Missing values, and scaling that is fitted on the training part alone."""

from dataclasses import dataclass

import numpy as np

from workbench.data.own.options import Missing, Scale, Speaker
from workbench.data.own.raw_data import RawData


@dataclass(slots=True, kw_only=True, eq=False)
class Scaling:
    """An affine map of each column: (value - offset) / factor."""

    offset: np.ndarray
    """(columns,)."""
    factor: np.ndarray
    """(columns,) above 0."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Returns values (rows, columns) scaled."""
        return np.asarray((values - self.offset) / self.factor)


def fit_scaling(values: np.ndarray, way: Scale) -> Scaling:
    """Returns the scaling of columns, as fitted on the values (rows, columns) of the training part, NaN left out.

    A column that is constant there is only moved to 0.
    """
    if way == "none":
        return Scaling(offset=np.zeros(values.shape[1]), factor=np.ones(values.shape[1]))
    least, greatest = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    offset, factor = least, greatest - least
    if way == "standard":
        offset, factor = np.nanmean(values, axis=0), np.nanstd(values, axis=0)
    # Not by its deviation, of which rounding leaves something.
    constant = least == greatest
    return Scaling(offset=np.where(constant, least, offset), factor=np.where(constant, 1.0, factor))


def fill_missing(raw: RawData, train: np.ndarray, way: Missing, speaker: Speaker) -> tuple[np.ndarray, list[str]]:
    """Returns the values without gaps, (total, features), and the names of the features.

    Args:
        raw: the data.
        train: (total,) true at the steps of the training part.
        way: refuse; mean: that of the training part; previous: the last known value of the sequence, before the first
            the mean; mark: the mean, and a further feature for each with gaps, 1 where it has one.
        speaker: the file, for messages.

    Raises:
        UserError: if there are gaps and they are refused, or a feature is not known anywhere in the training part.
    """
    values, features = raw.values, list(raw.features)
    gaps = np.isnan(values)
    if not gaps.any():
        return values, features
    with_gaps = np.flatnonzero(gaps.any(0))
    if way == "refuse":
        names = ", ".join(features[column] for column in with_gaps[:3]) + (", ..." if len(with_gaps) > 3 else "")
        raise speaker.error(
            f"{int(gaps.sum()):,} of {values.size:,} values are missing ({names}); say what stands for them: "
            f"{speaker.option('missing previous')}, or mean, or mark (the mean, and a feature that says so)"
        )
    for column in with_gaps:
        if gaps[train, column].all():
            raise speaker.error(f"{features[column]!r} is missing everywhere in the training part; leave it out")
    means = np.nanmean(values[train], axis=0)
    filled = values.copy()
    if way == "previous":
        rows = np.arange(len(values))[:, None]
        known = np.where(gaps, -1, rows)
        latest = np.maximum.accumulate(known, axis=0)
        begins = np.repeat(raw.starts, raw.lengths)[:, None]
        # The last known value of an earlier sequence is none of this one.
        latest = np.where(latest < begins, -1, latest)
        columns = np.broadcast_to(np.arange(values.shape[1]), values.shape)
        filled = np.where(latest >= 0, values[np.maximum(latest, 0), columns], np.nan)
    filled = np.where(np.isnan(filled), means, filled)
    raw.notes.append(f"{int(gaps.sum()):,} missing values filled ({way})")
    if way == "mark":
        filled = np.hstack([filled, gaps[:, with_gaps].astype(np.float64)])
        features += [f"{features[column]} is missing" for column in with_gaps]
    return filled, features
