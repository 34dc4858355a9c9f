"""Multiplication tables of finite groups."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations
from typing import Literal

import numpy as np

GroupName = Literal["Z60", "A4xZ5", "A5", "S3", "S5"]


@lru_cache(maxsize=8)
def multiplication_table(name: GroupName) -> np.ndarray:
    """Returns the table of a group: in row a and column b the number of a b, which is a first, then b.

    Elements are numbered from 0, the identity. Permutations are in lexicographic order; of a product of groups, the
    elements are in order of the first factor's.
    """
    if name == "Z60":
        return cyclic_table(60)
    if name == "A4xZ5":
        return product_table(permutation_table(even_permutations(4)), cyclic_table(5))
    if name == "A5":
        return permutation_table(even_permutations(5))
    return permutation_table(list(permutations(range(3 if name == "S3" else 5))))


@lru_cache(maxsize=8)
def generators(name: GroupName) -> tuple[int, int]:
    """Returns two elements that generate a group, and of whose products every number of factors gives all elements.

    That is, of all numbers of factors that are large enough: words in both of them have no period.
    """
    if name == "Z60":
        return 0, 1
    if name == "A4xZ5":
        group = even_permutations(4)
        # (0 1 2) with 1, and (0 1)(2 3) with 0.
        return 5 * group.index((1, 2, 0, 3)) + 1, 5 * group.index((1, 0, 3, 2))
    if name == "A5":
        group = even_permutations(5)
        return group.index((1, 2, 0, 3, 4)), group.index((1, 2, 3, 4, 0))
    # A transposition and a cycle of all.
    size = 3 if name == "S3" else 5
    group = list(permutations(range(size)))
    return group.index((1, 0, *range(2, size))), group.index((*range(1, size), 0))


def cyclic_table(order: int) -> np.ndarray:
    """Returns the table of addition modulo a number."""
    numbers = np.arange(order)
    return (numbers[:, None] + numbers) % order


def product_table(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the table of the direct product of two groups."""
    size = len(second)
    left, right = np.divmod(np.arange(len(first) * size), size)
    table: np.ndarray = first[left[:, None], left] * size + second[right[:, None], right]
    return table


def even_permutations(size: int) -> list[tuple[int, ...]]:
    """Returns the even permutations of 0 .. size - 1, in lexicographic order."""
    return [
        order
        for order in permutations(range(size))
        if sum(order[i] > order[j] for j in range(size) for i in range(j)) % 2 == 0
    ]


def permutation_table(elements: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Returns the table of a group of permutations, each as the images of 0, 1, ..."""
    number = {element: index for index, element in enumerate(elements)}
    return np.array([[number[tuple(b[image] for image in a)] for b in elements] for a in elements])
