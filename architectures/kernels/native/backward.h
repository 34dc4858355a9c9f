// The backward pass of the recurrence: all steps of all rows, and the gradients of all operands.
#pragma once

#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "adjoint.h"

namespace workbench {

// The tensors of a backward pass; grad_x is undefined if it is not required.
struct Given {
  const Tensor &x, &y, &saved, &start, &h_start, &of_y, &weight_x, &grad_x, &grad_start;
};

template <class S, class Cell>
void backward_rows(const Sizes<S>& n, const Cell& cell, const Vec<S>* weights, const Given& given, Sums<S>& sums,
                   int64_t from, int64_t end) {
  constexpr int G = Cell::gates, F = Cell::features, C = Cell::carried;
  const int64_t rows = end - from, L = kLanes<S>, chunk = chunk_of(rows, n.time);
  Vectors<S> adjoints(C * rows * n.panels), of_h((n.panels + 1) / 2 * chunk * rows * 2);
  std::vector<S> of_x(chunk * rows * (n.inputs + 1));
  const bool scored = given.of_y.defined();
  const Backward<S, Cell> work{n,
                               cell,
                               weights,
                               aligned<S>(given.saved),
                               given.y.data_ptr<S>(),
                               given.h_start.data_ptr<S>(),
                               scored ? given.of_y.data_ptr<S>() + from * given.of_y.stride(0) : nullptr,
                               scored ? given.of_y.stride(0) : 0,
                               scored ? given.of_y.stride(1) : 0,
                               from,
                               rows,
                               chunk,
                               adjoints.data(),
                               of_h.scalars(),
                               of_x.data()};
  const int64_t width = work.width();
  Vectors<S> grads((chunk + 1) * rows * width / L);
  const auto xs = given.x.accessor<S, 3>();
  const auto start = given.start.accessor<S, 3>();
  const auto grad_start = given.grad_start.accessor<S, 3>();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t panel = 0; panel < n.panels; ++panel)
      for (int c = 0; c < C; ++c)
        work.adjoints[(panel * rows + i) * C + c] = lanes_of<S>(grad_start[c], from + i, panel, n.lanes(panel));
  // Step t writes its gradients at slot t % chunk; the slot behind the last holds those of the step after the chunk.
  S* const slots = grads.scalars();
  S* const after = slots + chunk * rows * width;
  for (int64_t last = n.time - 1; last >= 0;) {
    const int64_t first_step = last / chunk * chunk;
    for (int64_t t = last; t >= first_step; --t) {
      const int64_t slot = (t - first_step) * rows;
      S* const mine = slots + slot * width;
      work.step(t, t == last ? after : mine + rows * width, mine, slot);
      for (int64_t i = 0; i < rows; ++i) {
        S* const back = of_x.data() + (slot + i) * (n.inputs + 1);
        for (int64_t k = 0; k < n.inputs; ++k) back[k] = xs[from + i][t][k];
        back[n.inputs] = 1;
      }
    }
    const int64_t count = (last - first_step + 1) * rows;
    work.add(slots, count, sums);
    if (given.grad_x.defined()) {
      const Tensor all = at::from_blob(slots, {count, (G + F) * n.padded}, {width, 1}, given.x.options());
      const Tensor to_x = at::mm(all, given.weight_x);
      const S* value = to_x.data_ptr<S>();
      S* const grad_x = given.grad_x.data_ptr<S>();
      for (int64_t t = first_step; t <= last; ++t)
        for (int64_t i = 0; i < rows; ++i, value += n.inputs)
          std::copy(value, value + n.inputs, grad_x + ((from + i) * n.time + t) * n.inputs);
    }
    std::copy(slots, slots + rows * width, after);
    last = first_step - 1;
  }
  S* const to_start = given.grad_start.data_ptr<S>();
  for (int64_t pair = 0; pair < work.pairs(); ++pair)
    tiles<kRows<S, 2>>(rows, [&]<int N>(int64_t first) {
      Vec<S> back[N][2];
      work.template returned<N>(after, pair, first, back);
      for (int64_t panel = 2 * pair; panel < std::min(2 * pair + 2, n.panels); ++panel)
        for (int i = 0; i < N; ++i) {
          const int64_t row = first + i, lanes = n.lanes(panel);
          Vec<S> state[C], *adjoint = work.adjoints + (panel * rows + row) * C;
          for (int c = 0; c < C; ++c) state[c] = lanes_of<S>(start[c], from + row, panel, lanes);
          cell.finish(back[i][panel % 2], state, adjoint);
          for (int c = 0; c < C; ++c)
            store_some(to_start + (c * n.batch + from + row) * n.units + panel * L, adjoint[c], lanes);
        }
    });
}

// Returns the gradients of x, weight_x, bias, weight_h and start.
template <class S, class Cell>
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> backward(
    const Cell& cell, const Tensor& x, const Tensor& weight_x, const Tensor& weight_h, const Tensor& start,
    const Tensor& y, const Tensor& saved, const std::optional<Tensor>& of_y, const std::optional<Tensor>& of_last,
    bool wants_x) {
  constexpr int G = Cell::gates, F = Cell::features, C = Cell::carried;
  const Sizes<S> n(x, weight_h);
  const int64_t P = n.padded, L = kLanes<S>, pairs = (n.panels + 1) / 2;
  Vectors<S> weights(pairs * 2 * G * P);
  pack_backward<S, Cell>(n, weight_h, weights.data());
  // The offset of the weights' block j among the gradients. The feature is the first block of the weights, and the last
  // of the gradients.
  const auto place_of = [&](int j) { return (j + G) % (G + F) * P; };
  Tensor padded, grad_x;
  if (wants_x) {
    grad_x = at::empty({n.batch, n.time, n.inputs}, x.options());
    padded = at::zeros({(G + F) * P, n.inputs}, x.options());
    for (int j = 0; j < G + F; ++j)
      padded.narrow(0, place_of(j), n.units).copy_(weight_x.narrow(1, j * n.units, n.units).t());
  }
  const Tensor grad_start = at::zeros({C, n.batch, n.units}, x.options());
  if (of_last) grad_start.copy_(*of_last);
  const Tensor h_start = at::empty({n.batch, n.units}, x.options());
  const auto first = start.accessor<S, 3>();
  for (int64_t row = 0; row < n.batch; ++row)
    for (int64_t panel = 0; panel < n.panels; ++panel) {
      Vec<S> state[C];
      for (int c = 0; c < C; ++c) state[c] = lanes_of<S>(first[c], row, panel, n.lanes(panel));
      store_some(h_start.data_ptr<S>() + row * n.units + panel * L, cell.start(state), n.lanes(panel));
    }
  const Tensor grad_y = !of_y ? Tensor() : of_y->stride(2) == 1 ? *of_y : of_y->contiguous();
  const Given given{x, y, saved, start, h_start, grad_y, padded, grad_x, grad_start};
  const int64_t parts = parts_of(n.batch);
  std::vector<Sums<S>> sums;
  for (int64_t part = 0; part < parts; ++part)
    sums.push_back({Vectors<S>(pairs * G * P * 2), Vectors<S>((G + F) * n.panels * (n.inputs + 1))});
  divided(n.batch, parts, [&](int64_t part, int64_t from, int64_t end) {
    at::AutoDispatchBelowADInplaceOrView below;
    backward_rows<S, Cell>(n, cell, weights.data(), given, sums[part], from, end);
  });
  const Tensor grad_weight_x = at::empty({(G + F) * n.units, n.inputs}, x.options());
  const Tensor grad_bias = at::empty({(G + F) * n.units}, x.options());
  const Tensor grad_weight_h = at::empty({G * n.units, n.units}, x.options());
  S* const to_x = grad_weight_x.data_ptr<S>();
  S* const to_b = grad_bias.data_ptr<S>();
  S* const to_h = grad_weight_h.data_ptr<S>();
  const auto total = [&](Vectors<S> Sums<S>::* which, int64_t place) {
    S sum = 0;
    for (Sums<S>& each : sums) sum += (each.*which).scalars()[place];
    return sum;
  };
  for (int j = 0; j < G + F; ++j)
    for (int64_t unit = 0; unit < n.units; ++unit) {
      const int64_t row = j * n.units + unit, place = place_of(j) + unit;
      for (int64_t k = 0; k <= n.inputs; ++k)
        (k < n.inputs ? to_x[row * n.inputs + k] : to_b[row]) =
            total(&Sums<S>::of_x, (place / L * (n.inputs + 1) + k) * L + place % L);
      for (int64_t k = 0; j >= F && k < n.units; ++k)
        to_h[(row - F * n.units) * n.units + k] =
            total(&Sums<S>::of_h, ((k / L / 2 * G * P + place) * 2 + k / L % 2) * L + k % L);
    }
  return {grad_x, grad_weight_x.t(), grad_bias, grad_weight_h.t(), grad_start};
}

}  // namespace workbench
