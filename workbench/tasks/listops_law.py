"""The exact law of operator and value of a random tree of list operations, given bounds of its length."""

from functools import lru_cache
from math import comb

import numpy as np

DIGITS = 10


@lru_cache(maxsize=32)
def value_shares(depth: int, arguments: int, operator_share: float, shortest: int, longest: int) -> np.ndarray:
    """Returns the joint law, (operators, values), of the operator at the root and the value; not to be written to.

    The joint law of value and length at each depth follows from that one level deeper: lengths of siblings add up, so
    their laws are multiplied as power series in the length, cut off at `longest`; and values follow from the laws of
    sums modulo 10 and of order statistics.

    Args:
        depth: of the deepest leaves, the root being at 0.
        arguments: the most of an operator, each number from 2 on being as likely.
        operator_share: probability of an operator, at any node but the root and the deepest.
        shortest: the fewest symbols of a tree.
        longest: the most.
    """
    leaf = np.zeros((DIGITS, longest + 1))
    leaf[:, 1] = 1 / DIGITS
    node = leaf
    for _ in range(depth - 1):
        node = operator_share * _operator_laws(node, arguments).sum(0) + (1 - operator_share) * leaf
    law = np.maximum(_operator_laws(node, arguments)[:, :, shortest:].sum(2), 0)
    shares: np.ndarray = law / law.sum()
    return shares


def _operator_laws(child: np.ndarray, arguments: int) -> np.ndarray:
    """Returns the joint law of operator, value and length from that of an argument's value and length.

    Args:
        child: (values, lengths).
        arguments: the most of an operator.

    Returns:
        (operators, values, lengths), for minimum, maximum, median and sum modulo 10.
    """
    below = np.cumsum(child, axis=0)
    above = np.cumsum(child[::-1], axis=0)[::-1]
    # (values, lengths): all of some arguments are at most a value, at least one, above one.
    at_most, at_least = _powers(below, arguments), _powers(above, arguments)
    larger = [np.concatenate([power[1:], np.zeros_like(power[:1])]) for power in at_least]
    larger[0] = at_least[0]
    spectra = _powers(np.fft.fft(child, axis=0), arguments)
    law = np.zeros((4, *child.shape))
    for count in range(2, arguments + 1):
        smallest = at_least[count] - larger[count]
        largest = np.diff(at_most[count], axis=0, prepend=0)
        total = np.fft.ifft(spectra[count], axis=0).real
        law += np.stack([smallest, largest, _median_law(at_most, at_least, larger, count), total])
    law /= 4 * (arguments - 1)
    # The operator and the closing bracket.
    return np.concatenate([np.zeros((4, DIGITS, 2)), law[:, :, :-2]], axis=2)


def _median_law(
    at_most: list[np.ndarray], at_least: list[np.ndarray], larger: list[np.ndarray], count: int
) -> np.ndarray:
    """Returns the law of the median of arguments, rounded down, and of their length."""
    middle = (count + 1) // 2
    # The middle-th smallest is at most a value if as many arguments are.
    ranked = sum(comb(count, few) * _product(at_most[few], larger[count - few]) for few in range(middle, count + 1))
    lower = np.diff(np.asarray(ranked), axis=0, prepend=0)
    if count % 2:
        return lower
    # Of an even number, one half is at most a, the other at least b.
    halves = comb(count, middle) * _product(at_most[middle][:, None], at_least[middle][None])
    wide = np.zeros((DIGITS + 1, DIGITS + 1, halves.shape[2]))
    wide[1:, :-1] = halves
    pairs = wide[1:, :-1] - wide[:-1, :-1] - wide[1:, 1:] + wide[:-1, 1:]
    law = np.zeros_like(lower)
    for low in range(DIGITS):
        apart = pairs[low, low + 1 :]
        law[low] += lower[low] - apart.sum(0)
        for high in range(low + 1, DIGITS):
            law[(low + high) // 2] += pairs[low, high]
    return law


def _powers(series: np.ndarray, most: int) -> list[np.ndarray]:
    """Returns the powers 0 .. most of power series in the last axis, cut off."""
    one = np.zeros_like(series)
    one[:, 0] = 1
    powers = [one]
    for _ in range(most):
        powers.append(_product(powers[-1], series))
    return powers


def _product(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns products of power series in the last axis, cut off."""
    terms = one.shape[-1]
    transform, inverse = (np.fft.fft, np.fft.ifft) if np.iscomplexobj(one) else (np.fft.rfft, np.fft.irfft)
    product = inverse(transform(one, 2 * terms) * transform(other, 2 * terms), 2 * terms)
    result: np.ndarray = product[..., :terms]
    return result
