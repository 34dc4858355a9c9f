"""Heads, among which the units of a layer are divided."""

from architectures.limits import check_width


def choose_heads(hidden_size: int, num_heads: int | None) -> int:
    """Returns the number of heads: by default the largest divisor of `hidden_size` up to 4, with heads of 2 units.

    Heads of a single unit would have no pair that a rotary position turns.

    Raises:
        TypeError, ValueError: if the number is no whole one, too large, or does not divide `hidden_size`.
    """
    if num_heads is None:
        return next(heads for heads in (4, 3, 2, 1) if heads == 1 or (hidden_size % heads == 0 and hidden_size > heads))
    check_width(num_heads=num_heads)
    if hidden_size % num_heads:
        raise ValueError(f"hidden_size {hidden_size} cannot be divided among {num_heads} heads")
    return num_heads
