"""Passes of sequences through a model: as many at once as memory is meant for."""

from collections.abc import Iterator
from itertools import pairwise


def passes(count: int, elements: int, most: int, most_of_part: int | None = None) -> Iterator[slice]:
    """Cuts sequences into passes.

    A convolution of a single short sequence is computed by other code of PyTorch's than that of several, with other
    last digits. So a pass is cut into parts of two sequences or more, and their numbers are those of the whole pass.

    Args:
        count: sequences.
        elements: of each.
        most: elements of a pass, at most, unless one sequence has more.
        most_of_part: elements of the parts that each pass is cut into, at most, unless two sequences have more; by
            default, passes are left whole.

    Yields:
        The places of the sequences that go together.
    """
    size = max(1, most // elements)
    for start in range(0, count, size):
        stop = min(start + size, count)
        parts = 1
        if most_of_part is not None:
            size_of_part = max(1, most_of_part // elements)
            parts = max(1, min(-(-(stop - start) // size_of_part), (stop - start) // 2))
        edges = [start + (stop - start) * part // parts for part in range(parts + 1)]
        yield from (slice(first, last) for first, last in pairwise(edges))
