"""The forward pass of the averages as one Triton kernel; the formulas are in `operation.py`."""

import triton
import triton.language as tl

from architectures.kernels.triton_math import log1p_exp_minus, log_attention, log_sigmoid, multiply_add, tanh


@triton.jit(do_not_specialize=["time", "batch"])
def forward(
    given,
    weight,
    u,
    hidden,
    averages,
    logs,
    tanh_g,
    p_kept,
    q_kept,
    delta,
    time,
    batch,
    units,
    hidden_row,
    averages_row,
    ATTENTION: tl.constexpr,
    HIDDEN_TANH: tl.constexpr,
    DISCOUNTED: tl.constexpr,
    KEEP: tl.constexpr,
    ALL_LOGS: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A program takes ROWS sequences from the first step to the last; programs do not wait for each other.

    r and l stay in registers, and so do a step's gates; h goes through memory, as the operand of the next step's
    products, whose weights stream by, CHUNK rows of every gate at a time.

    Args:
        given: [x | 1] times their weights, (time, batch, gates units).
        weight: (gates, WIDTH, WIDTH), of h, zero beyond the units, in the type of the products' operands.
        u: (time, batch, units), as are tanh_g, p_kept, q_kept and delta, which are filled where KEEP says so.
        hidden: (time + 1, batch, units), rows `hidden_row` numbers apart; filled, but for the first step where f_h is
            the identity.
        averages: likewise, `averages_row` numbers apart, from the first step on.
        logs: (time + 1, batch, units), or (2, batch, units) of which the last to be written is filled.
        ROWS, WIDTH: of a tile, powers of two, WIDTH at least `units`.
    """
    GATES: tl.constexpr = 3 if DISCOUNTED else 2
    operand = weight.dtype.element_ty
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, WIDTH)
    there = (row < batch)[:, None]
    mask = there & (unit < units)[None, :]
    row = row[:, None]
    at = row * units + unit[None, :]
    at_gates = row * (GATES * units) + unit[None, :]
    at_hidden = row * hidden_row + unit[None, :]
    at_averages = row * averages_row + unit[None, :]
    step = batch.to(tl.int64) * units
    hidden_step = batch.to(tl.int64) * hidden_row
    averages_step = batch.to(tl.int64) * averages_row

    r = tl.load(averages + at_averages, mask=mask, other=0.0)
    l = tl.load(logs + at, mask=mask, other=0.0)
    if HIDDEN_TANH:
        tl.store(hidden + at_hidden, tanh(r), mask=mask)
    tl.debug_barrier()
    for _ in range(time):
        # Asked for all at once and before the products, so that it is there after them.
        given_g = tl.load(given + at_gates, mask=mask, other=0.0)
        given_p = tl.load(given + at_gates + units, mask=mask, other=0.0)
        if DISCOUNTED:
            given_q = tl.load(given + at_gates + 2 * units, mask=mask, other=0.0)
        feature = tl.load(u + at, mask=mask, other=0.0)
        g = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        p = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        q = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        for k in tl.range(0, WIDTH, CHUNK, num_stages=STAGES):
            inner = k + tl.arange(0, CHUNK)
            h = tl.load(hidden + row * hidden_row + inner[None, :], mask=there & (inner < units)[None, :], other=0.0)
            h = h.to(operand)
            block = weight + inner[:, None] * WIDTH + unit[None, :]
            g = multiply_add(h, tl.load(block), g, PRECISION)
            p = multiply_add(h, tl.load(block + WIDTH * WIDTH), p, PRECISION)
            if DISCOUNTED:
                q = multiply_add(h, tl.load(block + 2 * WIDTH * WIDTH), q, PRECISION)
        g += given_g
        p += given_p
        if DISCOUNTED:
            q += given_q

        g = tanh(g)
        z = feature * g
        alpha = log_attention(p, ATTENTION)
        before = l
        if DISCOUNTED:
            before += log_sigmoid(q)
        d = alpha - before
        l = tl.maximum(before, alpha) + log1p_exp_minus(tl.abs(d))
        r += tl.sigmoid(d) * (z - r)

        hidden += hidden_step
        averages += averages_step
        tl.store(averages + at_averages, r, mask=mask)
        if HIDDEN_TANH:
            tl.store(hidden + at_hidden, tanh(r), mask=mask)
        # All of h has to be there before any of it is read in the next step.
        tl.debug_barrier()
        if KEEP:
            tl.store(tanh_g + at, g, mask=mask)
            tl.store(delta + at, d, mask=mask)
            if ATTENTION != "exp":
                tl.store(p_kept + at, p, mask=mask)
            if DISCOUNTED:
                tl.store(q_kept + at, q, mask=mask)
            tanh_g += step
            delta += step
            p_kept += step
            q_kept += step
        if ALL_LOGS:
            logs += step
            tl.store(logs + at, l, mask=mask)
        given += GATES * step
        u += step
    if not ALL_LOGS:
        tl.store(logs + (time % 2) * step + at, l, mask=mask)
