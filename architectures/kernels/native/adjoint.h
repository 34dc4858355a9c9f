// The backward pass of one step. The pointwise formulas follow directly on the product that brings the gradient back,
// and the weights' gradients are added up every few steps, while their operands are still in the cache.
#pragma once

#include "recurrence.h"

namespace workbench {

// Packs the recurrent weights in the order in which the products read them: for each pair of panels [k][units], k
// running over the gates.
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

// Number of steps whose gradients are collected before they are multiplied with the operands of the forward pass: few
// enough rows to stay in the second-level cache.
inline int64_t chunk_of(int64_t rows, int64_t time) { return std::clamp<int64_t>(128 / rows, 1, time); }

// Sums of products over rows and steps: for each pair of panels of h_{t-1} and each row of the gates two vectors, and
// for each vector of [gates | feature] one of every column of [x | 1].
template <class S>
struct Sums {
  Vectors<S> of_h, of_x;
};

// State of the backward pass of some rows. A row of gradients is [gates | feature], each padded.
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
  const S* of_y;           // gradient of y, at the first row; null if there is none
  int64_t of_y_row, of_y_time;  // its strides
  int64_t from, rows, chunk;
  Vec<S>* adjoints;  // [panel][row][carried]
  S* operand;        // [pair][row of the chunk][2 vectors] of h_{t-1}
  S* operand_x;      // [row of the chunk][x | 1]

  int64_t pairs() const { return (n.panels + 1) / 2; }
  // A vector more than needed: at a power of two all rows would be mapped to the same cache lines.
  int64_t width() const { return (G + F) * n.padded + L; }

  // Computes the gradient of h that comes back through the gates of the next step.
  template <int N>
  void returned(const S* next, int64_t pair, int64_t first, Vec<S> (&to)[N][2]) const {
    product<S, N, 2>(next + first * width(), width(), 1, scalars<S>(weights + pair * G * n.padded * 2), 2 * L,
                     G * n.padded, to);
  }

  // Runs one step: `next` holds the gradients of the step after it, `mine` receives those of this one, at row `slot` of
  // the chunk.
  void step(int64_t t, const S* next, S* mine, int64_t slot) const {
    for (int64_t pair = 0; pair < pairs(); ++pair)
      tiles<kRows<S, 2>>(rows, [&]<int N>(int64_t first) {
        Vec<S> back[N][2];
        returned<N>(next, pair, first, back);
        pointwise(t, pair, first, N, &back[0][0], mine, slot);
      });
  }

  // Computes step t for the rows of a tile, from the gradient of h. Separate from the products, so that it is compiled
  // once, not for every tile.
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
        // Lanes beyond the units stay 0, as in the forward pass: what is not finite there must not spread.
        S* const to = mine + row * width() + panel * L;
        for (int j = 0; j < G; ++j) store_some(to + j * n.padded, of_sums[j], lanes);
        if constexpr (F) store_some(to + G * n.padded, of_u, lanes);
        store_some(operand + ((pair * chunk * rows + slot + row) * 2 + panel % 2) * L, h_before, lanes);
      }
    }
  }

  // Adds the products of `count` rows of gradients with the operands of the forward pass.
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

}  // namespace workbench
