"""Passes of sequences through a model."""

from hypothesis import given
from hypothesis import strategies as st

from analysis.measures.passes import passes

SIZES = st.integers(1, 300)


@given(count=SIZES, elements=SIZES, most=st.integers(1, 10_000), most_of_part=st.integers(1, 10_000))
def test_parts_cut_the_same_passes_into_pieces_of_two_or_more(
    count: int, elements: int, most: int, most_of_part: int
) -> None:
    whole, parts = list(passes(count, elements, most)), list(passes(count, elements, most, most_of_part))
    for cuts in (whole, parts):
        assert [place for cut in cuts for place in range(count)[cut]] == list(range(count))
    assert {cut.start for cut in whole} <= {cut.start for cut in parts}
    assert all(len(range(count)[cut]) * elements <= most or cut.stop - cut.start == 1 for cut in whole)
    alone = {cut.start for cut in whole if cut.stop - cut.start == 1}
    for cut in parts:
        size = cut.stop - cut.start
        assert size > 1 or cut.start in alone
        # At least two, and at most three where two are too many.
        assert size * elements <= most_of_part or size <= 3
