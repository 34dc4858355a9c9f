"""What the relatives of the RDA have in common, and where they differ: one row for each.

What is read at step t weighs step i with

    A[t, i] = weight[t, i] prod_{j = i+1..t} keep_j , over a normaliser

and the rows say what weight, keep and normaliser are. H is the width, N heads have D = H / N units each, and S is the
number of states.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyRow:
    """How an architecture keeps, weighs and reads its past."""

    year: int
    """The year of its publication."""
    weight: str
    """What a step weighs in what is read."""
    keep: str
    """The factor on what was there before a step, and whether it is constant or follows from the input."""
    per: str
    """What has a factor of its own: unit, head or state."""
    sees: str
    """What its gates see: x, or x and h; a dash if it has none."""
    normaliser: str
    """What the sum is divided by."""
    state: str
    """Numbers that a layer carries from step to step."""
    path: str
    """Hops of a layer from an input to the output `lag` steps later."""
    source: str
    """The publication."""


SUM = "sum of weights"
HEAD_NORM = "none; norm of a head"
BOTH_WAYS = "lag through h, 1 through the average"

FAMILY: Mapping[str, FamilyRow] = {
    "lstm": FamilyRow(
        year=2000,
        weight="i",
        keep="f, by input",
        per="unit",
        sees="x, h",
        normaliser="none",
        state="2 H",
        path="lag",
        source="Gers et al., Neural Computation 12",
    ),
    "gru": FamilyRow(
        year=2014,
        weight="1 - z",
        keep="z, by input",
        per="unit",
        sees="x, h",
        normaliser="none; shares sum to 1",
        state="H",
        path="lag",
        source="Cho et al., arXiv 1406.1078",
    ),
    "rwa": FamilyRow(
        year=2017,
        weight="exp(p)",
        keep="1",
        per="unit",
        sees="x, h",
        normaliser=SUM,
        state="2 H",
        path=BOTH_WAYS,
        source="Ostmeyer and Cowell, arXiv 1703.01253",
    ),
    "rnn-attention": FamilyRow(
        year=2017,
        weight="exp(p)",
        keep="1",
        per="head",
        sees="h of its encoder",
        normaliser=SUM,
        state="H + N, and its encoder's",
        path="1",
        source="Ostmeyer; Feng et al. 2024, arXiv 2405.13956",
    ),
    "rda": FamilyRow(
        year=2017,
        weight="exp(p), or another f_a",
        keep="sigmoid(q), by input",
        per="unit",
        sees="x, h",
        normaliser=SUM,
        state="2 H",
        path=BOTH_WAYS,
        source="Maginnis and Richemond, arXiv 1705.08480",
    ),
    "slstm": FamilyRow(
        year=2024,
        weight="exp(i)",
        keep="sigmoid(f) or exp(f), by input",
        per="unit",
        sees="x, h",
        normaliser=SUM,
        state="3 H",
        path=BOTH_WAYS,
        source="Beck et al., arXiv 2405.04517",
    ),
    "mingru": FamilyRow(
        year=2024,
        weight="z",
        keep="1 - z, by input",
        per="unit",
        sees="x",
        normaliser="none; shares sum to 1",
        state="H",
        path="lag",
        source="Feng et al., arXiv 2410.01201",
    ),
    "minlstm": FamilyRow(
        year=2024,
        weight="i / (f + i)",
        keep="f / (f + i), by input",
        per="unit",
        sees="x",
        normaliser="none; shares sum to 1",
        state="H",
        path="lag",
        source="Feng et al., arXiv 2410.01201",
    ),
    "lru": FamilyRow(
        year=2023,
        weight="gamma B",
        keep="a complex number, constant",
        per="state",
        sees="-",
        normaliser="none",
        state="2 S",
        path="lag",
        source="Orvieto et al., arXiv 2303.06349",
    ),
    "s4d": FamilyRow(
        year=2022,
        weight="B, of a step dt",
        keep="exp(A dt), complex, constant",
        per="state",
        sees="-",
        normaliser="none",
        state="H S",
        path="lag",
        source="Gu et al., arXiv 2206.11893",
    ),
    "transformer": FamilyRow(
        year=2017,
        weight="exp(q . k / sqrt(D)), turned",
        keep="1",
        per="head",
        sees="-",
        normaliser=SUM,
        state="2 H a step",
        path="1",
        source="Vaswani et al., arXiv 1706.03762",
    ),
    "fox": FamilyRow(
        year=2025,
        weight="exp(q . k / sqrt(D))",
        keep="sigmoid(f), by input",
        per="head",
        sees="x",
        normaliser=SUM,
        state="2 H + N a step",
        path="1",
        source="Lin et al., arXiv 2503.02130",
    ),
    "linear-attention": FamilyRow(
        year=2020,
        weight="phi(q) . phi(k)",
        keep="1",
        per="head",
        sees="-",
        normaliser=SUM,
        state="H (D + 1)",
        path="1",
        source="Katharopoulos et al., arXiv 2006.16236",
    ),
    "retnet": FamilyRow(
        year=2023,
        weight="q . k, turned",
        keep="1 - 2^(-5-n), constant",
        per="head",
        sees="-",
        normaliser=HEAD_NORM,
        state="H D",
        path="lag",
        source="Sun et al., arXiv 2307.08621",
    ),
    "mlstm": FamilyRow(
        year=2024,
        weight="exp(i) q . k",
        keep="sigmoid(f), by input",
        per="head",
        sees="x",
        normaliser="max(|sum of weights|, 1)",
        state="H (D + 1) + N",
        path="lag",
        source="Beck et al., arXiv 2405.04517",
    ),
    "mamba2": FamilyRow(
        year=2024,
        weight="dt B . C",
        keep="exp(-A dt), by input",
        per="head",
        sees="x",
        normaliser="none; norm of all",
        state="2 H S + 3 (2 H + 2 S)",
        path="lag",
        source="Dao and Gu, arXiv 2405.21060",
    ),
    "gated-deltanet": FamilyRow(
        year=2024,
        weight="b q . k",
        keep="a (I - b k k^T), by input",
        per="head",
        sees="x",
        normaliser=HEAD_NORM,
        state="H D + 9 H",
        path="lag",
        source="Yang et al., arXiv 2412.06464",
    ),
}
"""The relatives by name."""
