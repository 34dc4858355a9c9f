"""What the options of several tasks have to keep."""

from architectures.base import positive


def at_least(least: int, **counts: int) -> None:
    """Refuses a size or count that is no whole number of at least `least`."""
    for name, value in counts.items():
        if isinstance(value, int) and not isinstance(value, bool) and value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}")
    positive(**counts)
