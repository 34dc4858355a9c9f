"""Pointwise functions and the matrix product of the recurrence in Triton.

Triton's own functions are missing or not exact enough.
"""

import triton
import triton.language as tl


@triton.jit
def tanh(x):
    """Returns the tanh of x: near 0, where the quotient of exponentials would keep no digits, its series up to x^9."""
    squared = x * x
    series = 1 + squared * (-1 / 3 + squared * (2 / 15 + squared * (-17 / 315 + squared * (62 / 2835))))
    small = tl.exp(-2 * tl.abs(x))
    far = (1 - small) / (1 + small)
    return tl.where(squared < 0.0625, x * series, tl.where(x < 0, -far, far))


@triton.jit
def log1p_exp_minus(x):
    """Returns log(1 + exp(-x)) for x >= 0, to the last digits also where exp(-x) is far below 1."""
    e = tl.exp(-x)
    one = 1 + e
    # The quotient corrects for the rounding of e in 1 + e.
    return tl.where(one == 1, e, tl.log(one) * (e / tl.where(one == 1, 1.0, one - 1)))


@triton.jit
def log_sigmoid(x):
    """Returns log(sigmoid(x))."""
    return tl.minimum(x, 0.0) - log1p_exp_minus(tl.abs(x))


@triton.jit
def softplus(x):
    """Returns log(1 + exp(x))."""
    return tl.maximum(x, 0.0) + log1p_exp_minus(tl.abs(x))


@triton.jit
def log_attention(p, ATTENTION: tl.constexpr):
    """Returns alpha = log f_a(p), as `architectures.kernels.pointwise.log_attention` does."""
    if ATTENTION == "sigmoid":
        alpha = log_sigmoid(p)
    elif ATTENTION == "softplus":
        # Far below zero softplus(p) is exp(p).
        alpha = tl.where(p < -15.0, p, tl.log(softplus(tl.maximum(p, -15.0))))
    elif ATTENTION == "relu":
        alpha = tl.where(p > 0, tl.log(tl.where(p > 0, p, 1.0)), float("-inf"))
    else:
        alpha = p
    return alpha


@triton.jit
def log_attention_slope(p, ATTENTION: tl.constexpr):
    """Returns d alpha / d p for the functions whose slope is not 1 everywhere."""
    if ATTENTION == "sigmoid":
        slope = tl.sigmoid(-p)
    elif ATTENTION == "softplus":
        slope = tl.where(p < -15.0, 1.0, tl.sigmoid(p) / softplus(tl.maximum(p, -15.0)))
    else:
        # The smallest normal number keeps 1 / p finite.
        slope = tl.where(p > 0, 1 / tl.maximum(p, 1.1754943508222875e-38), 0.0)
    return slope


@triton.jit
def multiply_add(a, b, sums, PRECISION: tl.constexpr):
    """Returns sums + a b.

    For `tf32x3` each factor is split into two TF32 numbers, of whose products the smallest is left out. Triton does so
    too, but rounds where this truncates, which takes fewer instructions, and instructions are what bounds a step then.
    An infinite factor gives NaN.
    """
    if PRECISION == "tf32x3":
        a_high = (a.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        b_high = (b.to(tl.int32, bitcast=True) & -8192).to(tl.float32, bitcast=True)
        sums = tl.dot(a - a_high, b_high, sums, input_precision="tf32")
        sums = tl.dot(a_high, b - b_high, sums, input_precision="tf32")
        sums = tl.dot(a_high, b_high, sums, input_precision="tf32")
    else:
        sums = tl.dot(a, b, sums, input_precision=PRECISION)
    return sums
