// A causal convolution of a few taps for each channel, y_t = silu(v_t) with v_t = b + sum_j w_j x_{t - j}, and its
// gradient. Nothing between x and y is kept: v is computed again on the way back, from inputs that are there anyway.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <vector>

#include "cells.h"
#include "scan.h"

namespace workbench {

constexpr int64_t kTaps = 4;

// The inputs of a row: `past` holds the three before the first step.
template <class S>
struct Inputs {
  Series<S> x, past;
  const S* at(int64_t row, int64_t t) const { return t < 0 ? past.at(row, kTaps - 1 + t) : x.at(row, t); }
};

// Returns v_t of the channels from i on. A bias lies behind the weights of the taps, all (taps + 1, channels).
template <class S>
inline Vec<S> sum_taps(const S* const (&from)[kTaps], const S* weights, int64_t channels, int64_t i, int64_t lanes) {
  Vec<S> v = load_some(weights + kTaps * channels + i, lanes);
  for (int64_t j = 0; j < kTaps; ++j) v += load_some(weights + j * channels + i, lanes) * load_some(from[j] + i, lanes);
  return v;
}

template <class S>
void convolve_span(const Span& n, int64_t time, int64_t channels, const Inputs<S>& inputs, const S* weights, S* y) {
  for (int64_t t = 0; t < time; ++t) {
    const S* from[kTaps];
    for (int64_t j = 0; j < kTaps; ++j) from[j] = inputs.at(n.row, t - j);
    S* const to = y + (n.row * time + t) * channels;
    for (int64_t i = n.first; i < n.first + n.count; i += kLanes<S>) {
      const int64_t lanes = std::min<int64_t>(kLanes<S>, n.first + n.count - i);
      const Vec<S> v = sum_taps<S>(from, weights, channels, i, lanes);
      store_some(to + i, v * sigmoid<S>(v), lanes);
    }
  }
}

// Steps over which the adjoints of weights are added up before they join the sum over all: one sum over thousands of
// steps would lose digits in single precision.
constexpr int64_t kBlockSteps = 64;

// Computes the adjoints of x, of the past, and of the weights, which add up over time, from the last step to the first.
template <class S>
void convolve_span_backward(const Span& n, int64_t time, int64_t channels, const Inputs<S>& inputs, const S* weights,
                            const Series<S>& of_y, S* of_x, S* of_past, S* of_weights) {
  // The adjoints of v at the present step and the three after it.
  std::vector<S> ring(kTaps * channels, S(0)), sums((kTaps + 1) * channels, S(0));
  S* const totals = of_weights + n.row * (kTaps + 1) * channels;
  for (int64_t t = time - 1; t > -kTaps; --t) {
    const S* from[kTaps];
    for (int64_t j = 0; j < kTaps; ++j) from[j] = t < 0 ? nullptr : inputs.at(n.row, t - j);
    const S* const of = t < 0 ? nullptr : of_y.at(n.row, t);
    S* const to = t < 0 ? of_past + (n.row * (kTaps - 1) + kTaps - 1 + t) * channels
                        : of_x + (n.row * time + t) * channels;
    const auto place = [&](int64_t lag) { return ring.data() + ((t + kTaps + lag) % kTaps) * channels; };
    for (int64_t i = n.first; i < n.first + n.count; i += kLanes<S>) {
      const int64_t lanes = std::min<int64_t>(kLanes<S>, n.first + n.count - i);
      Vec<S> of_v{};
      if (t >= 0) {
        const Vec<S> v = sum_taps<S>(from, weights, channels, i, lanes), open = sigmoid<S>(v);
        of_v = load_some(of + i, lanes) * open * (S(1) + v * (S(1) - open));
        for (int64_t j = 0; j < kTaps; ++j) {
          S* const sum = sums.data() + j * channels + i;
          store_some(sum, load_some(sum, lanes) + of_v * load_some(from[j] + i, lanes), lanes);
        }
        S* const sum = sums.data() + kTaps * channels + i;
        store_some(sum, load_some(sum, lanes) + of_v, lanes);
      }
      store_some(place(0) + i, of_v, lanes);
      Vec<S> of_input{};
      for (int64_t j = 0; j < kTaps; ++j)
        of_input += load_some(weights + j * channels + i, lanes) * load_some(place(j) + i, lanes);
      store_some(to + i, of_input, lanes);
    }
    if (t >= 0 && t % kBlockSteps == 0) {
      for (int64_t j = 0; j <= kTaps; ++j) {
        for (int64_t i = n.first; i < n.first + n.count; ++i) {
          totals[j * channels + i] += sums[j * channels + i];
          sums[j * channels + i] = S(0);
        }
      }
    }
  }
}

// Raises an error for operands that do not fit together: the loops do not check sizes.
inline void check_convolution(const Tensor& x, const Tensor& past, const Tensor& weights) {
  TORCH_CHECK_VALUE(x.dim() == 3 && x.numel() > 0, "x must be (batch, time, channels), none of them 0, not ",
                    x.sizes());
  TORCH_CHECK_VALUE(past.dim() == 3 && past.size(0) == x.size(0) && past.size(1) == kTaps - 1 &&
                        past.size(2) == x.size(2),
                    "the past must be (batch, ", kTaps - 1, ", channels), not ", past.sizes());
  TORCH_CHECK_VALUE(weights.dim() == 2 && weights.size(0) == kTaps + 1 && weights.size(1) == x.size(2),
                    "the weights must be (", kTaps + 1, ", channels), not ", weights.sizes());
  for (const Tensor* value : {&past, &weights})
    TORCH_CHECK_TYPE(value->scalar_type() == x.scalar_type(), "all operands must be ", x.scalar_type(), " as x is");
}

// Returns y, (batch, time, channels).
template <class S>
Tensor convolve(const Tensor& x, const Tensor& past, const Tensor& weights) {
  const int64_t batch = x.size(0), time = x.size(1), channels = x.size(2);
  const Tensor near_x = with_near_units(x), near_past = with_near_units(past), near_weights = weights.contiguous();
  const Inputs<S> inputs{Series<S>(near_x), Series<S>(near_past)};
  const Tensor y = at::empty({batch, time, channels}, x.options());
  spans<S>(batch, channels, false, [&](const Span& n) {
    convolve_span<S>(n, time, channels, inputs, near_weights.data_ptr<S>(), y.data_ptr<S>());
  });
  return y;
}

// Returns the gradients of x, of the past, and of the weights for each row, (batch, taps + 1, channels).
template <class S>
std::tuple<Tensor, Tensor, Tensor> convolve_backward(const Tensor& x, const Tensor& past, const Tensor& weights,
                                                     const Tensor& of_y) {
  const int64_t batch = x.size(0), time = x.size(1), channels = x.size(2);
  const Tensor near_x = with_near_units(x), near_past = with_near_units(past), near_weights = weights.contiguous();
  const Tensor near_of_y = with_near_units(of_y);
  const Inputs<S> inputs{Series<S>(near_x), Series<S>(near_past)};
  const Series<S> of(near_of_y);
  const Tensor of_x = at::empty({batch, time, channels}, x.options());
  const Tensor of_past = at::empty({batch, kTaps - 1, channels}, x.options());
  const Tensor of_weights = at::zeros({batch, kTaps + 1, channels}, x.options());
  spans<S>(batch, channels, false, [&](const Span& n) {
    convolve_span_backward<S>(n, time, channels, inputs, near_weights.data_ptr<S>(), of, of_x.data_ptr<S>(),
                              of_past.data_ptr<S>(), of_weights.data_ptr<S>());
  });
  return {of_x, of_past, of_weights};
}

}  // namespace workbench
