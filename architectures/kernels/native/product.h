// Matrix products of a few rows with packed weights, small enough to stay in registers.
#pragma once

#include <algorithm>
#include <vector>

#include "vector.h"

namespace workbench {

// Rows of the operand whose sums are held in registers at once, for N vectors of columns. Double precision is for
// comparisons, so a short compilation matters more.
template <class S, int N>
constexpr int kRows = sizeof(S) == 8 ? 4 : kRegisters == 32 ? (N == 1 ? 12 : 24 / N) : 12 / N;

// Computes sum[i][j] = sum over k of a[i * row + k * step] * b[k * stride + j * lanes ...], for R rows and N vectors of
// columns.
// With few rows there are too few sums to hide the latency of a multiply-add, so they are split U ways over k.
// Never inlined: all cells share one version, and a call costs little compared with the product.
template <class S, int R, int N>
__attribute__((noinline)) void product(const S* a, int64_t row, int64_t step, const S* b, int64_t stride, int64_t depth,
                    Vec<S> (&sum)[R][N]) {
  constexpr int U = R * N >= 8 ? 1 : R * N >= 4 ? 2 : 4;
  Vec<S> part[U][R][N] = {};
  int64_t k = 0;
  for (; k + U <= depth; k += U) {
#pragma GCC unroll 8
    for (int s = 0; s < U; ++s) {
      Vec<S> columns[N];
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) columns[j] = load(b + (k + s) * stride + j * kLanes<S>);
#pragma GCC unroll 32
      for (int i = 0; i < R; ++i) {
        const S value = a[i * row + (k + s) * step];
#pragma GCC unroll 8
        for (int j = 0; j < N; ++j) part[s][i][j] += columns[j] * value;
      }
    }
  }
  for (; k < depth; ++k) {
#pragma GCC unroll 32
    for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
      for (int j = 0; j < N; ++j) part[0][i][j] += load(b + k * stride + j * kLanes<S>) * a[i * row + k * step];
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < N; ++j) {
      Vec<S> total = part[0][i][j];
#pragma GCC unroll 8
      for (int s = 1; s < U; ++s) total += part[s][i][j];
      sum[i][j] = total;
    }
  }
}

// Calls tile.template operator()<R>(first row) for every tile of R <= M rows.
template <int R, class Tile>
inline void remainder(int64_t rows, int64_t first, Tile& tile) {
  if constexpr (R > 0) {
    if (rows == R) return tile.template operator()<R>(first);
    remainder<R - 1>(rows, first, tile);
  }
}

template <int M, class Tile>
inline void tiles(int64_t rows, Tile&& tile) {
  int64_t first = 0;
  for (; first + M <= rows; first += M) tile.template operator()<M>(first);
  if (first < rows) remainder<M - 1>(rows - first, first, tile);
}

template <class S>
inline const S* scalars(const Vec<S>* vectors) {
  return reinterpret_cast<const S*>(vectors);
}

// Memory for vectors, aligned to their width.
template <class S>
class Vectors {
 public:
  explicit Vectors(int64_t count) : owned_(count * sizeof(Vec<S>) + kBytes) {
    const auto address = reinterpret_cast<uintptr_t>(owned_.data());
    data_ = reinterpret_cast<Vec<S>*>((address + kBytes - 1) / kBytes * kBytes);
  }
  Vec<S>* data() { return data_; }
  S* scalars() { return reinterpret_cast<S*>(data_); }

 private:
  std::vector<char> owned_;  // zeros
  Vec<S>* data_;
};

}  // namespace workbench
