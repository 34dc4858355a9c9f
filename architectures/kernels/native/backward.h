// The gradient of the recurrence. The pointwise formulas of a step follow at once on the product that brings its gradient
// back, and the weights' gradients are added up every few steps, while what they are made of is still in the cache.
#pragma once

#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "recurrence.h"

namespace workbench {

// The recurrent weights in the order in which the products read them: for each pair of panels [k][units], k running over
// the gates.
template <class S, class Cell>
void pack_backward(const Sizes<S>& n, const Tensor& weight_h, Vec<S>* to) {
  constexpr int G = Cell::gates;
  const auto wh = weight_h.accessor<S, 2>();
  for (int64_t unit = 0; unit < n.units; ++unit) {
    const int64_t panel = unit / kLanes<S>, lane = unit % kLanes<S>;
    for (int j = 0; j < G; ++j)
      for (int64_t k = 0; k < n.units; ++k)
        to[((panel / 2 * G + j) * n.padded + k) * 2 + panel % 2][lane] = wh[unit][j * n.units + k];
  }
}

// Steps whose gradients are kept together until they are multiplied with what they came from: few enough rows to stay in
// the nearest cache but one.
inline int64_t chunk_of(int64_t rows, int64_t time) { return std::clamp<int64_t>(128 / rows, 1, time); }

// Sums of products over rows and steps: for each pair of panels of h_{t-1} and each row of the gates two vectors, and
// for each vector of [gates | feature] one of every column of [x | 1].
template <class S>
struct Sums {
  Vectors<S> of_h, of_x;
};

// What the backward pass of some rows works on. A row of gradients is [gates | feature], each padded.
template <class S, class Cell>
struct Backward {
  static constexpr int G = Cell::gates, F = Cell::features, C = Cell::carried;
  static constexpr int64_t L = kLanes<S>;
  const Sizes<S>& n;
  const Cell& cell;
  const Vec<S>* weights;
  const Vec<S>* saved;
  const S* y;
  const S* h_start;        // (batch, units)
  const S* of_y;           // of the first row; null where there is none
  int64_t of_y_row, of_y_time;  // how far it is to the next
  int64_t from, rows, chunk;
  Vec<S>* adjoints;  // [panel][row][carried]
  S* operand;        // [pair][row of the chunk][2 vectors] of h_{t-1}
  S* operand_x;      // [row of the chunk][x | 1]

  int64_t pairs() const { return (n.panels + 1) / 2; }
  // A vector more than needed: at a power of two all rows would fall on the same lines of the cache.
  int64_t width() const { return (G + F) * n.padded + L; }

  // The gradient of h that comes back from the gradients of the step after it.
  template <int N>
  void returned(const S* next, int64_t pair, int64_t first, Vec<S> (&to)[N][2]) const {
    product<S, N, 2>(next + first * width(), width(), 1, scalars<S>(weights + pair * G * n.padded * 2), 2 * L,
                     G * n.padded, to);
  }

  // One step: `next` holds the gradients of the step after it, `mine` gets those of this one, at row `slot` of the chunk.
  void step(int64_t t, const S* next, S* mine, int64_t slot) const {
    for (int64_t pair = 0; pair < pairs(); ++pair)
      tiles<kRows<S, 2>>(rows, [&]<int N>(int64_t first) {
        Vec<S> back[N][2];
        returned<N>(next, pair, first, back);
        pointwise(t, pair, first, N, &back[0][0], mine, slot);
      });
  }

  // Step t of a tile's rows from what comes back to it. Apart from the products, so that it is compiled once.
  __attribute__((noinline)) void pointwise(int64_t t, int64_t pair, int64_t first, int64_t count, const Vec<S>* of_h,
                                           S* mine, int64_t slot) const {
    const int64_t step = n.batch * n.units;
    const S* const before = t > 0 ? y + (t - 1) * step : h_start;
    for (int64_t panel = 2 * pair; panel < std::min(2 * pair + 2, n.panels); ++panel) {
      const int64_t lanes = n.lanes(panel);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t row = first + i, inside = (from + row) * n.units + panel * L;
        Vec<S> of_sums[G], of_u{}, h_before = load_some(before + inside, lanes);
        cell.backward(saved + ((t * n.panels + panel) * n.batch + from + row) * cell.kept(),
                      load_some(y + t * step + inside, lanes),
                      of_y ? load_some(of_y + row * of_y_row + t * of_y_time + panel * L, lanes) : Vec<S>{},
                      of_h[i * 2 + panel % 2], adjoints + (panel * rows + row) * C, of_sums, of_u, h_before);
        S* const to = mine + row * width() + panel * L;
        for (int j = 0; j < G; ++j) store(to + j * n.padded, of_sums[j]);
        if constexpr (F) store(to + G * n.padded, of_u);
        store(operand + ((pair * chunk * rows + slot + row) * 2 + panel % 2) * L, h_before);
      }
    }
  }

  // Adds the products of `count` rows of gradients with what they came from.
  void add(const S* grads, int64_t count, Sums<S>& sums) const {
    for (int64_t pair = 0; pair < pairs(); ++pair)
      tiles<kRows<S, 2>>(G * n.padded, [&]<int N>(int64_t first) {
        Vec<S> sum[N][2];
        product<S, N, 2>(grads + first, 1, width(), operand + pair * chunk * rows * 2 * L, 2 * L, count, sum);
        Vec<S>* const to = sums.of_h.data() + (pair * G * n.padded + first) * 2;
        for (int i = 0; i < N; ++i)
          for (int j = 0; j < 2; ++j) to[i * 2 + j] += sum[i][j];
      });
    for (int64_t vector = 0; vector < (G + F) * n.panels; ++vector)
      tiles<kRows<S, 1>>(n.inputs + 1, [&]<int N>(int64_t first) {
        Vec<S> sum[N][1];
        product<S, N, 1>(operand_x + first, 1, n.inputs + 1, grads + vector * L, width(), count, sum);
        Vec<S>* const to = sums.of_x.data() + vector * (n.inputs + 1) + first;
        for (int i = 0; i < N; ++i) to[i] += sum[i][0];
      });
  }
};

// The tensors of a backward pass; grad_x may be undefined.
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

// The gradients of x, weight_x, bias, weight_h and start.
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
  // The place of the weights' block j, in whose order the feature comes first, among the gradients, where it is last.
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
