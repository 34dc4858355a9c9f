"""Moderated variances: each row's own variance, drawn towards that of all rows as far as they are alike."""

import numpy as np

MIN_GROUPS = 4
"""Fewest groups from which the variances' own spread is estimated; below, each keeps its own."""
ALIKE = 0.15
"""p-value of Bartlett's test above which variances count as alike.

Below it no variance is made smaller than its own. Without that, two good rows that vary much, among others that vary
little, would seem surer than they are: of two that share the first place, one would be called best in up to 13 %.
"""


def moderate_variances(variances: np.ndarray, freedom: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the variances of several groups, moderated (Smyth 2004, sections 3 and 6.2; limma's `squeezeVar`).

    A few seeds say little of a row's variance, and all rows together say much, if the variances are alike. With a
    scaled inverse chi-square distribution of the true variances, whose d0 and s0^2 are estimated from the groups, the
    expected variance of a group is (d0 s0^2 + d s^2) / (d0 + d), with d0 + d degrees of freedom. If they vary no more
    than by chance, d0 is infinite: all have the pooled variance. If they differ much, d0 is small: each has its own,
    or more.

    Args:
        variances: (groups,) sample variances s^2, each with n - 1 in the denominator.
        freedom: (groups,) their degrees of freedom d = n - 1; groups with 0 take no part, and stay as they are.

    Returns:
        The moderated variances and their degrees of freedom, each (groups,). Degrees of freedom are at most those of
        all groups together.
    """
    # Only here: SciPy is slow to import, and help texts import this package.
    from scipy.special import digamma, polygamma

    variances, freedom = np.asarray(variances, dtype=float), np.asarray(freedom, dtype=float)
    known = (freedom > 0) & (variances > 0)
    if known.sum() < MIN_GROUPS:
        return variances, freedom
    half = freedom[known] / 2
    logs = np.log(variances[known]) - digamma(half) + np.log(half)
    excess = logs.var(ddof=1) - polygamma(1, half).mean()
    total = freedom[known].sum()
    if excess <= 0:
        pooled = (variances * freedom)[known].sum() / total
        has_seeds = freedom > 0
        return np.where(has_seeds, pooled, variances), np.where(has_seeds, total, freedom)
    half_prior = inverse_trigamma(float(excess))
    prior = np.exp(logs.mean() + digamma(half_prior) - np.log(half_prior))
    moderated = (2 * half_prior * prior + freedom * variances) / (2 * half_prior + freedom)
    has_seeds = freedom > 0
    moderated = np.where(has_seeds, moderated, variances)
    moderated_freedom = np.where(has_seeds, np.minimum(2 * half_prior + freedom, total), freedom)
    if are_alike(variances[known], freedom[known]):
        return moderated, moderated_freedom
    return np.maximum(variances, moderated), np.where(variances > moderated, freedom, moderated_freedom)


def are_alike(variances: np.ndarray, freedom: np.ndarray) -> bool:
    """Returns whether positive variances differ no more than by chance, by Bartlett's test (Bartlett 1937).

    Args:
        variances: (groups,) sample variances.
        freedom: (groups,) their degrees of freedom.
    """
    from scipy.special import chdtrc

    total, groups = freedom.sum(), len(variances)
    pooled = (variances * freedom).sum() / total
    statistic = total * np.log(pooled) - (freedom * np.log(variances)).sum()
    correction = 1 + ((1 / freedom).sum() - 1 / total) / (3 * (groups - 1))
    return bool(chdtrc(groups - 1, statistic / correction) > ALIKE)


def inverse_trigamma(value: float) -> float:
    """Returns the x > 0 with trigamma(x) = value > 0, by the Newton iteration of Smyth 2004, appendix."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = polygamma(1, x)
        change = trigamma * (1 - trigamma / value) / polygamma(2, x)
        x += change
        if -change < 1e-8 * x:
            break
    return float(x)
