// What the forward and the backward pass of the averages share.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <tuple>

#include "product.h"

namespace workbench {

using at::Tensor;
using Outcome = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

enum Attention : int64_t { kExp, kSigmoid, kSoftplus, kRelu };

// What the backward pass wants to know of a step: u, tanh(g), D = z_t - r_{t-1}, delta = alpha - m, and, where they
// are there, sigmoid(-q) and (log f_a)'(p).
struct Kept {
  bool discounted, sloped;
  int u = 0, th = 1, d = 2, delta = 3;
  int sq() const { return 4; }
  int slope() const { return 4 + discounted; }
  int count() const { return 4 + discounted + sloped; }
};

struct Options {
  int64_t attention;
  bool hidden_tanh, output_tanh;
};

template <class S>
struct Sizes {
  int64_t batch, time, inputs, units, panels, padded, depth;
  Sizes(int64_t batch, int64_t time, int64_t inputs, int64_t units)
      : batch(batch), time(time), inputs(inputs), units(units), panels((units + kLanes<S> - 1) / kLanes<S>),
        padded(panels * kLanes<S>), depth(inputs + 1 + padded) {}
  int64_t lanes(int64_t panel) const { return std::min<int64_t>(kLanes<S>, units - panel * kLanes<S>); }
};

// alpha = log f_a(p) and its slope.
template <class S>
inline void attend(int64_t attention, Vec<S> p, Vec<S>& alpha, Vec<S>& slope) {
  const S tail = sizeof(S) == 8 ? -36 : -15;
  if (attention == kExp) {
    alpha = p;
  } else if (attention == kRelu) {
    alpha = p > 0 ? log(p) : (p != p ? p : all<S>(-INFINITY));
    slope = p > 0 ? 1 / p : Vec<S>{};
  } else {
    const Logistic<S> s = logistic(abs<S>(p));
    if (attention == kSigmoid) {
      alpha = (p < 0 ? p : Vec<S>{}) - s.log1p;
      slope = p < 0 ? s.keep : s.less;
    } else {
      const Vec<S> soft = max<S>(p, Vec<S>{}) + s.log1p;
      alpha = p < tail ? p : log(soft);
      slope = p < tail ? all<S>(1) : (p < 0 ? s.less : s.keep) / soft;
    }
  }
}

template <class S>
Tensor vectors(int64_t count, const Tensor& like) {
  return at::empty({count * kLanes<S> + kLanes<S>}, like.options());
}

template <class S>
Vec<S>* aligned(const Tensor& memory) {
  const auto address = reinterpret_cast<uintptr_t>(memory.data_ptr<S>());
  return reinterpret_cast<Vec<S>*>((address + kBytes - 1) / kBytes * kBytes);
}

inline int64_t blocks(int64_t batch) { return std::min<int64_t>(batch, at::get_num_threads()); }

}  // namespace workbench
