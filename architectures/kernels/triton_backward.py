"""The recurrence's backward pass over time as one Triton kernel; the formulas are in `autograd.py`."""

import triton
import triton.language as tl

from architectures.kernels.triton_math import log_attention_slope, multiply_add


@triton.jit(do_not_specialize=["time", "batch"])
def backward(
    weight,
    u,
    hidden,
    averages,
    tanh_g,
    p_saved,
    q_saved,
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
    """Runs ROWS sequences in each program, from the last step to the first; programs do not wait for each other.

    R, L and the gradient that comes back through the weights stay in registers; the gates' gradients, which are output
    anyway, are read again as operands of the step's one product.

    Args:
        weight: the recurrent weights, (gates, WIDTH, WIDTH), from a gate's units to those of h, zero beyond the units,
            in the type of the product's operands.
        u: (time, batch, units).
        hidden: (time + 1, batch, units), rows `hidden_row` numbers apart.
        averages: (time + 1, batch, units), rows `averages_row` numbers apart.
        tanh_g: (time, batch, units), as saved by the forward pass, like p_saved, q_saved and delta.
        p_saved: read only if the attention function is not exp.
        q_saved: read only if DISCOUNTED is set.
        delta: see tanh_g.
        of_h: the incoming gradient of h, (time, batch, units), read only if OF_H is set.
        of_r: the incoming gradient of r, (time, batch, units), read only if OF_R is set.
        of_l: the incoming gradient of l, (time, batch, units), read only if OF_L is set.
        R_last: (batch, units), the adjoint of the last r, overwritten by that of r before the first step.
        L_last: (batch, units), the adjoint of the last l, overwritten by that of l before the first step.
        back_first: (batch, units), filled with the adjoint of h before the first step.
        grad_u: (time, batch, units), filled.
        grad_gates: (time, batch, gates units), filled.
        time: the number of steps.
        batch: the number of sequences.
        units: the number of units.
        hidden_row: the stride of `hidden` between sequences.
        averages_row: the stride of `averages` between sequences.
        of_h_step: the stride of `of_h` between steps.
        of_h_row: the stride of `of_h` between sequences.
        of_r_step: the stride of `of_r` between steps.
        of_r_row: the stride of `of_r` between sequences.
        of_l_step: the stride of `of_l` between steps.
        of_l_row: the stride of `of_l` between sequences.
        ATTENTION: f_a.
        HIDDEN_TANH: whether f_h is tanh, or the identity.
        DISCOUNTED: whether there is a q.
        OF_H: whether h has an incoming gradient.
        OF_R: whether r has an incoming gradient.
        OF_L: whether l has an incoming gradient.
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
    # Distances between steps need 64 bits, and so do those between rows of tensors that lie batch first in memory.
    step = batch.to(tl.int64) * units
    wide_row = row.to(tl.int64)
    last = time.to(tl.int64) - 1

    hidden += (last + 1) * batch * hidden_row
    averages += last * batch * averages_row
    u += last * step
    tanh_g += last * step
    p_saved += last * step
    q_saved += last * step
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
        # Everything that the step reads is loaded at once.
        d = tl.load(delta + at, mask=mask, other=0.0)
        g = tl.load(tanh_g + at, mask=mask, other=0.0)
        feature = tl.load(u + at, mask=mask, other=0.0)
        r = tl.load(averages + row * averages_row + unit[None, :], mask=mask, other=0.0)
        if ATTENTION != "exp":
            p = tl.load(p_saved + at, mask=mask, other=0.0)
        if DISCOUNTED:
            q = tl.load(q_saved + at, mask=mask, other=0.0)
        total = back
        if OF_H:
            total += tl.load(of_h + wide_row * of_h_row + unit[None, :], mask=mask, other=0.0)
        if HIDDEN_TANH:
            h = tl.load(hidden + row * hidden_row + unit[None, :], mask=mask, other=0.0)
            total *= 1 - h * h
        total += R
        if OF_R:
            total += tl.load(of_r + wide_row * of_r_row + unit[None, :], mask=mask, other=0.0)
        if OF_L:
            L += tl.load(of_l + wide_row * of_l_row + unit[None, :], mask=mask, other=0.0)

        w = tl.sigmoid(d)
        one_minus_w = tl.sigmoid(-d)
        c = w * one_minus_w * (feature * g - r) * total
        dp = c + w * L
        if ATTENTION != "exp":
            dp *= log_attention_slope(p, ATTENTION)
        L = one_minus_w * L - c
        tl.store(grad_gates + at_gates, w * feature * (1 - g * g) * total, mask=mask)
        tl.store(grad_gates + at_gates + units, dp, mask=mask)
        if DISCOUNTED:
            dq = L * tl.sigmoid(-q)
            tl.store(grad_gates + at_gates + 2 * units, dq, mask=mask)
        # All gates' gradients have to be stored before any of them is read as an operand.
        tl.debug_barrier()
        tl.store(grad_u + at, w * g * total, mask=mask)
        R = one_minus_w * total

        back = tl.zeros((ROWS, WIDTH), dtype=tl.float32)
        for k in tl.range(0, WIDTH, CHUNK, num_stages=STAGES):
            inner = k + tl.arange(0, CHUNK)
            of_gate = grad_gates + row * (GATES * units) + inner[None, :]
            inner_mask = row_mask & (inner < units)[None, :]
            block = weight + inner[:, None] * WIDTH + unit[None, :]
            gate_grad = tl.load(of_gate, mask=inner_mask, other=0.0).to(operand)
            back = multiply_add(gate_grad, tl.load(block), back, PRECISION)
            gate_grad = tl.load(of_gate + units, mask=inner_mask, other=0.0).to(operand)
            back = multiply_add(gate_grad, tl.load(block + WIDTH * WIDTH), back, PRECISION)
            if DISCOUNTED:
                gate_grad = tl.load(of_gate + 2 * units, mask=inner_mask, other=0.0).to(operand)
                back = multiply_add(gate_grad, tl.load(block + 2 * WIDTH * WIDTH), back, PRECISION)

        hidden -= batch.to(tl.int64) * hidden_row
        averages -= batch.to(tl.int64) * averages_row
        u -= step
        tanh_g -= step
        p_saved -= step
        q_saved -= step
        delta -= step
        grad_u -= step
        grad_gates -= step * GATES
        of_h -= of_h_step
        of_r -= of_r_step
        of_l -= of_l_step
    tl.store(R_last + at, R, mask=mask)
    tl.store(L_last + at, L, mask=mask)
    tl.store(back_first + at, back, mask=mask)
