// Declarations that the forward and the backward pass share: sizes, checks, access to memory, and threads.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cfenv>
#include <optional>
#include <tuple>

#include "cells.h"
#include "product.h"

namespace workbench {

using at::Tensor;

// Sizes of a recurrence. Units are processed in panels of one vector each; the last panel is padded with zeros.
template <class S>
struct Sizes {
  int64_t batch, time, inputs, units, panels, padded, depth;
  Sizes(const Tensor& x, const Tensor& weight_h)
      : batch(x.size(0)), time(x.size(1)), inputs(x.size(2)), units(weight_h.size(0)),
        panels((units + kLanes<S> - 1) / kLanes<S>), padded(panels * kLanes<S>), depth(inputs + 1 + padded) {}
  int64_t lanes(int64_t panel) const { return std::min<int64_t>(kLanes<S>, units - panel * kLanes<S>); }
};

// Raises an error for operands that do not fit together: the loops do not check sizes.
template <class Cell>
void check(const Tensor& x, const Tensor& weight_x, const Tensor& bias, const Tensor& weight_h, const Tensor& start) {
  const auto fits = [&](const char* name, const Tensor& value, at::IntArrayRef sizes) {
    TORCH_CHECK_VALUE(value.sizes() == sizes, name, " must be of shape ", sizes, ", not ", value.sizes());
    TORCH_CHECK_TYPE(value.scalar_type() == x.scalar_type(), name, " must be ", x.scalar_type(), " as x is, not ",
                     value.scalar_type());
  };
  TORCH_CHECK_VALUE(x.dim() == 3 && weight_h.dim() == 2, "x must be (batch, time, input_size)");
  TORCH_CHECK_VALUE(x.numel() > 0, "x of shape ", x.sizes(), " is empty");
  const int64_t units = weight_h.size(0), blocks = Cell::gates + Cell::features;
  fits("weight_x", weight_x, {x.size(2), blocks * units});
  fits("bias", bias, {blocks * units});
  fits("weight_h", weight_h, {units, Cell::gates * units});
  fits("the state", start, {Cell::carried, x.size(0), units});
}

// Loads a vector from a row of `from` (rows, units), whatever its strides.
template <class S>
Vec<S> lanes_of(const at::TensorAccessor<S, 2>& from, int64_t row, int64_t panel, int64_t count) {
  Vec<S> v{};
  for (int64_t lane = 0; lane < count; ++lane) v[lane] = from[row][panel * kLanes<S> + lane];
  return v;
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

// Rounds, and flushes denormal numbers, as another thread does, until it goes out of scope.
class RoundingOf {
 public:
  explicit RoundingOf(const std::fenv_t& other) {
    std::fegetenv(&own_);
    std::fesetenv(&other);
  }
  ~RoundingOf() { std::fesetenv(&own_); }

 private:
  std::fenv_t own_;
};

// Calls work(begin, end) for parts of 0 ... count - 1, on all threads, each of which flushes denormal numbers if the
// calling one does: PyTorch sets it for that alone.
template <class Work>
void in_parallel(int64_t count, int64_t grain, Work&& work) {
  std::fenv_t calling;
  std::fegetenv(&calling);
  at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    const RoundingOf rounding(calling);
    work(begin, end);
  });
}

// Calls work(part, first row, row behind the last) for each thread's part of the batch.
template <class Work>
void divided(int64_t batch, int64_t parts, Work&& work) {
  in_parallel(parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) work(part, part * batch / parts, (part + 1) * batch / parts);
  });
}

inline int64_t parts_of(int64_t batch) { return std::min<int64_t>(batch, at::get_num_threads()); }

}  // namespace workbench
