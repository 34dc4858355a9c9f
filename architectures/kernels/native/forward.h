// The forward pass of the recurrence. A step is a product of [x | 1 | h] with packed weights, a few rows and a few
// units at a time, whose sums go from registers into the pointwise formulas; nothing of the size of the gates is ever
// written.
#pragma once

#include "recurrence.h"

namespace workbench {

// Packs the weights in the order in which the products read them: for each panel of units [k][gates], k running over
// [x | 1 | h]; and [k][feature], over [x | 1]. In weight_x and bias, the columns of the feature come first.
template <class S, class Cell>
void pack_forward(const Sizes<S>& n, const Tensor& weight_x, const Tensor& bias, const Tensor& weight_h, Vec<S>* gates,
                  Vec<S>* features) {
  constexpr int G = Cell::gates, F = Cell::features;
  const auto wx = weight_x.accessor<S, 2>(), wh = weight_h.accessor<S, 2>();
  const auto b = bias.accessor<S, 1>();
  for (int64_t panel = 0; panel < n.panels; ++panel) {
    const int64_t first = panel * kLanes<S>, lanes = n.lanes(panel);
    for (int64_t k = 0; k <= n.inputs; ++k)
      for (int j = -F; j < G; ++j) {
        Vec<S>& to = j < 0 ? features[panel * (n.inputs + 1) + k] : gates[(panel * n.depth + k) * G + j];
        for (int64_t i = 0; i < lanes; ++i) {
          const int64_t column = (j + F) * n.units + first + i;
          to[i] = k < n.inputs ? wx[k][column] : b[column];
        }
      }
    for (int64_t k = 0; k < n.units; ++k)
      for (int j = 0; j < G; ++j)
        for (int64_t i = 0; i < lanes; ++i)
          gates[(panel * n.depth + n.inputs + 1 + k) * G + j][i] = wh[k][j * n.units + first + i];
  }
}

// Memory for the results; null for those that are not required.
template <class S>
struct Results {
  S* y;            // (time, batch, units)
  S* states;       // (carried, time, batch, units)
  S* last;         // (carried, batch, units)
  Vec<S>* saved;   // [time][panel][row of the batch][kept]
};

// State of the forward pass of some rows.
template <class S, class Cell>
struct Forward {
  static constexpr int G = Cell::gates, C = Cell::carried;
  static constexpr int64_t L = kLanes<S>;
  const Sizes<S>& n;
  const Cell& cell;
  const Results<S>& to;
  int64_t from, rows;
  Vec<S>* carried;  // [panel][row][carried]

  // Computes step t for the rows of a tile, from its sums. Separate from the products, so that it is compiled once, not
  // for every tile.
  __attribute__((noinline)) void pointwise(int64_t t, int64_t panel, int64_t first, int64_t count, const Vec<S>* sums,
                                           const Vec<S>* features, S* next) const {
    const int64_t lanes = n.lanes(panel);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = first + i, place = (t * n.batch + from + row) * n.units + panel * L;
      Vec<S>* const state = carried + (panel * rows + row) * C;
      Vec<S>* const keep =
          to.saved ? to.saved + ((t * n.panels + panel) * n.batch + from + row) * cell.kept() : nullptr;
      Vec<S> h, y;
      cell.forward(sums + i * G, features[i], state, keep, h, y);
      // Lanes beyond the units stay 0: there the sums of an infinite input, 0 * inf, are NaN, and would spread from h.
      store_some(next + row * n.depth + n.inputs + 1 + panel * L, h, lanes);
      if (to.y) store_some(to.y + place, y, lanes);
      for (int c = 0; to.states && c < C; ++c)
        store_some(to.states + c * n.time * n.batch * n.units + place, state[c], lanes);
    }
  }
};

// Computes the sum of gate J for a row without its part of x, for the lanes of a panel.
template <class S, class Cell, int J>
Vec<S> sum_without_x(const Sizes<S>& n, const Vec<S>* gates, int64_t panel, const S* operand) {
  Vec<S> sum{};
  for (int64_t k = n.inputs; k < n.depth; ++k) sum += gates[(panel * n.depth + k) * Cell::gates + J] * operand[k];
  return sum;
}

template <class S, class Cell>
void forward_rows(const Sizes<S>& n, const Cell& cell, const Vec<S>* gates, const Vec<S>* features, const Tensor& x,
                  const Tensor& start, const Results<S>& to, int64_t from, int64_t end) {
  constexpr int G = Cell::gates, F = Cell::features, C = Cell::carried;
  const int64_t rows = end - from, L = kLanes<S>, width = n.depth;
  Vectors<S> operands(2 * (rows * width / L + 1)), carried(C * rows * n.panels);
  const Forward<S, Cell> work{n, cell, to, from, rows, carried.data()};
  S* now = operands.scalars();
  S* next = now + rows * width;
  const auto xs = x.accessor<S, 3>();
  const auto first_state = start.accessor<S, 3>();
  for (int64_t i = 0; i < rows; ++i) {
    now[i * width + n.inputs] = next[i * width + n.inputs] = 1;
    for (int64_t panel = 0; panel < n.panels; ++panel) {
      Vec<S>* const state = work.carried + (panel * rows + i) * C;
      for (int c = 0; c < C; ++c) state[c] = lanes_of<S>(first_state[c], from + i, panel, n.lanes(panel));
      store(now + i * width + n.inputs + 1 + panel * L, cell.start(state));
    }
  }
  for (int64_t t = 0; t < n.time; ++t) {
    bool finite = true;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = 0; k < n.inputs; ++k) {
        const S value = xs[from + i][t][k];
        now[i * width + k] = value;
        finite &= std::isfinite(value);
      }
    for (int64_t panel = 0; panel < n.panels; ++panel)
      tiles<kRows<S, G>>(rows, [&]<int R>(int64_t first) {
        Vec<S> sums[R][G], u[R][1] = {};
        const S* const operand = now + first * width;
        product<S, R, G>(operand, width, 1, scalars<S>(gates + panel * n.depth * G), G * L, n.depth, sums);
        if constexpr (F)
          product<S, R, 1>(operand, width, 1, scalars<S>(features + panel * (n.inputs + 1)), L, n.inputs + 1, u);
        if constexpr (Cell::gate_without_x >= 0)
          for (int i = 0; i < R && !finite; ++i)
            // The other rows keep their bits.
            if (!std::all_of(operand + i * width, operand + i * width + n.inputs, [](S v) { return std::isfinite(v); }))
              sums[i][Cell::gate_without_x] =
                  sum_without_x<S, Cell, Cell::gate_without_x>(n, gates, panel, operand + i * width);
        work.pointwise(t, panel, first, R, &sums[0][0], &u[0][0], next);
      });
    std::swap(now, next);
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t panel = 0; panel < n.panels; ++panel)
      for (int c = 0; c < C; ++c)
        store_some(to.last + (c * n.batch + from + i) * n.units + panel * L, work.carried[(panel * rows + i) * C + c],
                   n.lanes(panel));
}

// Returns y (time, batch, units) or, if `states` is set, the state after every step (carried, time, batch, units)
// instead; the state after the last step; and, if `keep` is set, the vectors that the backward pass needs.
template <class S, class Cell>
std::tuple<Tensor, Tensor, Tensor, Tensor> forward(const Cell& cell, const Tensor& x, const Tensor& weight_x,
                                                   const Tensor& bias, const Tensor& weight_h, const Tensor& start,
                                                   bool keep, bool states) {
  check<Cell>(x, weight_x, bias, weight_h, start);
  const Sizes<S> n(x, weight_h);
  Vectors<S> gates(n.panels * n.depth * Cell::gates), features(n.panels * (n.inputs + 1));
  pack_forward<S, Cell>(n, weight_x, bias, weight_h, gates.data(), features.data());
  const Tensor y = at::empty({states ? 0 : n.time, n.batch, n.units}, x.options());
  const Tensor all_states = at::empty({Cell::carried, states ? n.time : 0, n.batch, n.units}, x.options());
  const Tensor last = at::empty({Cell::carried, n.batch, n.units}, x.options());
  const Tensor saved = vectors<S>(keep ? n.time * n.panels * n.batch * cell.kept() : 0, x);
  const Results<S> to{states ? nullptr : y.data_ptr<S>(), states ? all_states.data_ptr<S>() : nullptr,
                      last.data_ptr<S>(), keep ? aligned<S>(saved) : nullptr};
  divided(n.batch, parts_of(n.batch), [&](int64_t, int64_t from, int64_t end) {
    forward_rows<S, Cell>(n, cell, gates.data(), features.data(), x, start, to, from, end);
  });
  return {y, all_states, last, saved};
}

}  // namespace workbench
