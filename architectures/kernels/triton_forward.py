"""The recurrence's forward pass over time as one Triton kernel; the formulas are in `autograd.py`."""

import triton
import triton.language as tl

from architectures.kernels.triton_math import log1p_exp_minus, log_attention, log_sigmoid, multiply_add, tanh


@triton.jit(do_not_specialize=["time", "batch"])
def forward(
    input_gates,
    weight,
    u,
    hidden,
    averages,
    logs,
    tanh_g,
    p_saved,
    q_saved,
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
    """Runs ROWS sequences in each program, from the first step to the last; programs do not wait for each other.

    r and l stay in registers, and so do a step's gates; h goes through memory, as the operand of the next step's
    products, whose weights are streamed, CHUNK rows of every gate at a time.

    Args:
        input_gates: the products of [x | 1] with their weights, (time, batch, gates units).
        weight: the recurrent weights, (gates, WIDTH, WIDTH), zero beyond the units, in the type of the products'
            operands.
        u: (time, batch, units).
        hidden: (time + 1, batch, units), rows `hidden_row` numbers apart; filled, except for the first step where f_h
            is the identity.
        averages: (time + 1, batch, units), rows `averages_row` numbers apart; filled after the first step.
        logs: (time + 1, batch, units), filled; or (2, batch, units), of which the one of the last step is filled.
        tanh_g: (time, batch, units), filled if KEEP is set, as are p_saved, q_saved and delta.
        p_saved: filled only if the attention function is not exp.
        q_saved: filled only if DISCOUNTED is set.
        delta: see tanh_g.
        time: the number of steps.
        batch: the number of sequences.
        units: the number of units.
        hidden_row: the stride of `hidden` between sequences.
        averages_row: the stride of `averages` between sequences.
        ATTENTION: f_a.
        HIDDEN_TANH: whether f_h is tanh, or the identity.
        DISCOUNTED: whether there is a q.
        KEEP: whether to save what the backward pass needs.
        ALL_LOGS: whether `logs` holds every step.
        ROWS: sequences of a tile, a power of two.
        WIDTH: units of a tile, a power of two, at least `units`.
        CHUNK: rows of the weights that are loaded at once.
        STAGES: chunks that are loaded ahead.
        PRECISION: of the products.
    """
    GATES: tl.constexpr = 3 if DISCOUNTED else 2
    operand = weight.dtype.element_ty
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    unit = tl.arange(0, WIDTH)
    row_mask = (row < batch)[:, None]
    mask = row_mask & (unit < units)[None, :]
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
        # Loaded all at once and before the products, so that the values have arrived after them.
        input_g = tl.load(input_gates + at_gates, mask=mask, other=0.0)
        input_p = tl.load(input_gates + at_gates + units, mask=mask, other=0.0)
        if DISCOUNTED:
            input_q = tl.load(input_gates + at_gates + 2 * units, mask=mask, other=0.0)
        feature = tl.load(u + at, mask=mask, other=0.0)
        g = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        p = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        q = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        for k in tl.range(0, WIDTH, CHUNK, num_stages=STAGES):
            inner = k + tl.arange(0, CHUNK)
            h = tl.load(hidden + row * hidden_row + inner[None, :], mask=row_mask & (inner < units)[None, :], other=0.0)
            h = h.to(operand)
            block = weight + inner[:, None] * WIDTH + unit[None, :]
            g = multiply_add(h, tl.load(block), g, PRECISION)
            p = multiply_add(h, tl.load(block + WIDTH * WIDTH), p, PRECISION)
            if DISCOUNTED:
                q = multiply_add(h, tl.load(block + 2 * WIDTH * WIDTH), q, PRECISION)
        g += input_g
        p += input_p
        if DISCOUNTED:
            q += input_q

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
        # All of h has to be stored before any of it is read in the next step.
        tl.debug_barrier()
        if KEEP:
            tl.store(tanh_g + at, g, mask=mask)
            tl.store(delta + at, d, mask=mask)
            if ATTENTION != "exp":
                tl.store(p_saved + at, p, mask=mask)
            if DISCOUNTED:
                tl.store(q_saved + at, q, mask=mask)
            tanh_g += step
            delta += step
            p_saved += step
            q_saved += step
        if ALL_LOGS:
            logs += step
            tl.store(logs + at, l, mask=mask)
        input_gates += GATES * step
        u += step
    if not ALL_LOGS:
        tl.store(logs + (time % 2) * step + at, l, mask=mask)
