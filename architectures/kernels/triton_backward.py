"""The backward pass of the averages as one Triton kernel; the formulas are in `operation.py`."""

import triton
import triton.language as tl

from architectures.kernels.triton_math import attention_slope, multiply_add


@triton.jit(do_not_specialize=["time", "batch"])
def backward(
    weight,
    u,
    hidden,
    averages,
    tanh_g,
    p_kept,
    q_kept,
    delta,
    of_h,
    of_r,
    of_l,
    R_last,
    L_last,
    back_first,
    grad_u,
    grad_gates,
    time,
    batch,
    units,
    hidden_row,
    averages_row,
    of_h_step,
    of_h_row,
    of_r_step,
    of_r_row,
    of_l_step,
    of_l_row,
    ATTENTION: tl.constexpr,
    HIDDEN_TANH: tl.constexpr,
    DISCOUNTED: tl.constexpr,
    OF_H: tl.constexpr,
    OF_R: tl.constexpr,
    OF_L: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    STAGES: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A program takes ROWS sequences from the last step to the first; programs do not wait for each other.

    R, L and what comes back through the weights stay in registers; the gates' gradients, which are put out anyway, are
    read again as operands of the step's one product.

    Args:
        weight: (gates, WIDTH, WIDTH): from a gate's units to those of h, zero beyond them, in the type of the product's
            operands.
        u: (time, batch, units), as are tanh_g, p_kept, q_kept, delta and grad_u.
        hidden, averages: (time + 1, batch, units), rows `hidden_row` and `averages_row` numbers apart.
        of_h, of_r, of_l: gradients from elsewhere, (time, batch, units), steps and rows as many numbers apart as said;
            not read unless OF_H, OF_R, OF_L.
        R_last, L_last: (batch, units), the adjoints of the last r and l, overwritten by those before the first step.
        back_first: (batch, units), filled with the adjoint of h before the first step.
        grad_gates: (time, batch, gates units).
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
    # Steps are long numbers apart, and so are rows of what lies with time inside.
    step = batch.to(tl.int64) * units
    far = row.to(tl.int64)
    last = time.to(tl.int64) - 1

    hidden += (last + 1) * batch * hidden_row
    averages += last * batch * averages_row
    u += last * step
    tanh_g += last * step
    p_kept += last * step
    q_kept += last * step
    delta += last * step
    grad_u += last * step
    grad_gates += last * step * GATES
    of_h += last * of_h_step
    of_r += last * of_r_step
    of_l += last * of_l_step

    R = tl.load(R_last + at, mask=mask, other=0.0)
    L = tl.load(L_last + at, mask=mask, other=0.0)
    back = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
    for _ in range(time):
        # All that the step reads is asked for at once.
        d = tl.load(delta + at, mask=mask, other=0.0)
        g = tl.load(tanh_g + at, mask=mask, other=0.0)
        feature = tl.load(u + at, mask=mask, other=0.0)
        r = tl.load(averages + row * averages_row + unit[None, :], mask=mask, other=0.0)
        if ATTENTION != "exp":
            p = tl.load(p_kept + at, mask=mask, other=0.0)
        if DISCOUNTED:
            q = tl.load(q_kept + at, mask=mask, other=0.0)
        total = back
        if OF_H:
            total += tl.load(of_h + far * of_h_row + unit[None, :], mask=mask, other=0.0)
        if HIDDEN_TANH:
            h = tl.load(hidden + row * hidden_row + unit[None, :], mask=mask, other=0.0)
            total *= 1 - h * h
        total += R
        if OF_R:
            total += tl.load(of_r + far * of_r_row + unit[None, :], mask=mask, other=0.0)
        if OF_L:
            L += tl.load(of_l + far * of_l_row + unit[None, :], mask=mask, other=0.0)

        w = tl.sigmoid(d)
        kept = tl.sigmoid(-d)
        c = w * kept * (feature * g - r) * total
        dp = c + w * L
        if ATTENTION != "exp":
            dp *= attention_slope(p, ATTENTION)
        L = kept * L - c
        tl.store(grad_gates + at_gates, w * feature * (1 - g * g) * total, mask=mask)
        tl.store(grad_gates + at_gates + units, dp, mask=mask)
        if DISCOUNTED:
            dq = L * tl.sigmoid(-q)
            tl.store(grad_gates + at_gates + 2 * units, dq, mask=mask)
        # All gates' gradients have to be there before any of them is read as an operand.
        tl.debug_barrier()
        tl.store(grad_u + at, w * g * total, mask=mask)
        R = kept * total

        back = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        for k in tl.range(0, WIDTH, CHUNK, num_stages=STAGES):
            inner = k + tl.arange(0, CHUNK)
            of_gate = grad_gates + row * (GATES * units) + inner[None, :]
            within = there & (inner < units)[None, :]
            block = weight + inner[:, None] * WIDTH + unit[None, :]
            some = tl.load(of_gate, mask=within, other=0.0).to(operand)
            back = multiply_add(some, tl.load(block), back, PRECISION)
            some = tl.load(of_gate + units, mask=within, other=0.0).to(operand)
            back = multiply_add(some, tl.load(block + WIDTH * WIDTH), back, PRECISION)
            if DISCOUNTED:
                some = tl.load(of_gate + 2 * units, mask=within, other=0.0).to(operand)
                back = multiply_add(some, tl.load(block + 2 * WIDTH * WIDTH), back, PRECISION)

        hidden -= batch.to(tl.int64) * hidden_row
        averages -= batch.to(tl.int64) * averages_row
        u -= step
        tanh_g -= step
        p_kept -= step
        q_kept -= step
        delta -= step
        grad_u -= step
        grad_gates -= step * GATES
        of_h -= of_h_step
        of_r -= of_r_step
        of_l -= of_l_step
    tl.store(R_last + at, R, mask=mask)
    tl.store(L_last + at, L, mask=mask)
    tl.store(back_first + at, back, mask=mask)
