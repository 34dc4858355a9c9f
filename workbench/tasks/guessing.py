"""Losses and accuracies of guesses: from a joint law of what is known and what is asked, or from a bag of values."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import gammaln, xlogy

from workbench.tasks.base import Floor

MAX_EXACT_DRAWS = 512
"""Draws up to which the expected largest count is computed; beyond, a bag has no accuracy."""


def conditional_entropy(joint: np.ndarray) -> float:
    """Returns H(Y | X) in nats: the loss of the best answer Y of one who knows X.

    Args:
        joint: (values of X, values of Y) probabilities that sum to 1.
    """
    known = joint.sum(1, keepdims=True)
    shares = np.divide(joint, known, out=np.ones_like(joint), where=joint > 0)
    return float(-(joint * np.log(shares)).sum() + 0.0)


def best_accuracy(joint: np.ndarray) -> float:
    """Returns the accuracy of the likeliest answer Y of one who knows X, from the law of both as above."""
    return float(joint.max(1).sum())


def bag_floor(draws: int, shares: Sequence[float]) -> Floor:
    """Returns what one reaches who knows how often each value was drawn, and is asked for one of the draws.

    The draws are independent, and any is asked for as likely as any other. Given the counts c_1..c_K of N draws, the
    answer k has the probability c_k / N, so

        loss     = E[-sum_k c_k / N ln(c_k / N)] = -sum_k sum_c Binomial(c; N, p_k) c / N ln(c / N)
        accuracy = E[max_k c_k] / N

    Args:
        draws: N.
        shares: (K,) the probabilities p_k.
    """
    shares = tuple(shares)
    loss = sum(_expected_surprise(draws, share) for share in shares)
    accuracy = expected_largest_count(draws, shares) / draws if draws <= MAX_EXACT_DRAWS else None
    return Floor(loss=loss, accuracy=accuracy)


def binomial_law(draws: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns counts and their probabilities, without those more than ten standard deviations from the mean.

    Args:
        draws: N.
        share: probability of what is counted, between 0 and 1, both excluded.
    """
    spread = 10 * (draws * share * (1 - share)) ** 0.5 + 10
    counts = np.arange(max(0, int(draws * share - spread)), min(draws, int(draws * share + spread)) + 1)
    logarithms = gammaln(draws + 1) - gammaln(counts + 1) - gammaln(draws - counts + 1)
    return counts, np.exp(logarithms + counts * np.log(share) + (draws - counts) * np.log1p(-share))


def poisson_law(mean: float, most: int) -> np.ndarray:
    """Returns the probabilities of 0 .. most."""
    counts = np.arange(most + 1)
    law: np.ndarray = np.exp(counts * np.log(mean) - mean - gammaln(counts + 1))
    return law


@lru_cache(maxsize=256)
def _expected_surprise(draws: int, share: float) -> float:
    """Returns E[-c / N ln(c / N)] for c ~ Binomial(N, share)."""
    counts, law = binomial_law(draws, share)
    return float(-(law * xlogy(counts / draws, counts / draws)).sum())


@lru_cache(maxsize=64)
def expected_largest_count(draws: int, shares: tuple[float, ...]) -> float:
    """Returns the expected largest count of a multinomial law.

    P(all counts <= m) is N! times the coefficient of x^N in prod_k sum_{j <= m} (p_k x)^j / j! (Levin 1981, "A
    representation for multinomial cumulative distribution functions", before Poisson's approximation). Each factor is
    scaled by e^{-N p_k} N^j, which makes it Poisson's law with mean N p_k, and all numbers at most 1.

    Args:
        draws: N.
        shares: (K,) the probabilities, which sum to 1.
    """
    kinds, repeats = np.unique(np.asarray(shares), return_counts=True)
    laws = [poisson_law(draws * kind, draws) for kind in kinds]
    whole = poisson_law(draws, draws)[draws]
    expected = 0.0
    for most in range(draws):
        product = np.ones(1)
        for law, repeat in zip(laws, repeats, strict=True):
            product = _truncated_product(product, _truncated_power(law[: most + 1], int(repeat), draws), draws)
        below = product[draws] / whole if len(product) > draws else 0.0
        expected += 1 - below
        if below > 1 - 1e-12:
            break
    return float(expected)


def _truncated_power(series: np.ndarray, exponent: int, degree: int) -> np.ndarray:
    """Returns a power of a polynomial, without the terms above a degree."""
    result = np.ones(1)
    while exponent:
        if exponent & 1:
            result = _truncated_product(result, series, degree)
        series, exponent = _truncated_product(series, series, degree), exponent >> 1
    return result


def _truncated_product(one: np.ndarray, other: np.ndarray, degree: int) -> np.ndarray:
    """Returns a product of polynomials, without the terms above a degree."""
    return np.convolve(one, other)[: degree + 1]
