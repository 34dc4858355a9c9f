// The linear recurrence h_t = a_t h_{t-1} + b_t, unit by unit, and its gradient. There is no product over units, so a row
// is read from the first step to the last, with the states of all its units in the first-level cache.
//
// Complex numbers lie in two halves of a row, [real parts | imaginary parts], each of which is a row of vectors.
#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include "recurrence.h"

namespace workbench {

// Numbers (batch, time, units) whose units are neighbours in memory; steps of 0 repeat what is the same at every step.
template <class S>
struct Series {
  const S* data;
  int64_t row, time;
  explicit Series(const Tensor& x)
      : data(x.data_ptr<S>()), row(x.dim() == 3 ? x.stride(0) : 0), time(x.dim() == 3 ? x.stride(1) : 0) {}
  const S* at(int64_t i, int64_t t) const { return data + i * row + t * time; }
};

// A part of the work: some lanes of a row. `count` counts real numbers, or complex ones, whose halves are `half` apart.
struct Span {
  int64_t row, first, count, half;
};

// Calls work(span) for parts of the batch, on all threads: rows, and where there are fewer than threads, parts of rows.
template <class S, class Work>
void spans(int64_t batch, int64_t units, bool complex, Work&& work) {
  const int64_t count = complex ? units / 2 : units, panels = (count + kLanes<S> - 1) / kLanes<S>;
  const int64_t parts = std::clamp<int64_t>((at::get_num_threads() + batch - 1) / batch, 1, panels);
  in_parallel(batch * parts, std::max<int64_t>(1, batch * parts / at::get_num_threads()),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  const int64_t part = i % parts, from = part * panels / parts * kLanes<S>;
                  const int64_t to = std::min(count, (part + 1) * panels / parts * kLanes<S>);
                  work(Span{i / parts, from, to - from, complex ? count : 0});
                }
              });
}

template <class S, bool Complex>
void scan_span(const Span& n, int64_t time, int64_t units, const Series<S>& a, const Series<S>& b, const S* start, S* h) {
  const S* before = start + n.row * units;
  for (int64_t t = 0; t < time; ++t) {
    const S *const at = a.at(n.row, t), *const bt = b.at(n.row, t);
    S* const to = h + (n.row * time + t) * units;
    for (int64_t i = n.first; i < n.first + n.count; i += kLanes<S>) {
      const int64_t lanes = std::min<int64_t>(kLanes<S>, n.first + n.count - i), j = n.half + i;
      const Vec<S> re = load_some(before + i, lanes), factor = load_some(at + i, lanes);
      if constexpr (Complex) {
        const Vec<S> im = load_some(before + j, lanes), turn = load_some(at + j, lanes);
        store_some(to + i, factor * re - turn * im + load_some(bt + i, lanes), lanes);
        store_some(to + j, factor * im + turn * re + load_some(bt + j, lanes), lanes);
      } else {
        store_some(to + i, factor * re + load_some(bt + i, lanes), lanes);
      }
    }
    before = to;
  }
}

// Computes the adjoints of b; those of a, which add up over time where `sums` is set; and that of the start, which holds
// what comes back from the step after the present one in the meantime.
template <class S, bool Complex>
void scan_span_backward(const Span& n, int64_t time, int64_t units, const Series<S>& a, const S* h, const S* start,
                        const Series<S>& of_h, bool sums, S* of_a, S* of_b, S* of_start) {
  S* const back = of_start + n.row * units;
  for (int64_t t = time - 1; t >= 0; --t) {
    const S *const at = a.at(n.row, t), *const of = of_h.at(n.row, t);
    const S* const before = t > 0 ? h + (n.row * time + t - 1) * units : start + n.row * units;
    S* const to_b = of_b + (n.row * time + t) * units;
    S* const to_a = of_a ? of_a + (sums ? n.row : n.row * time + t) * units : nullptr;
    for (int64_t i = n.first; i < n.first + n.count; i += kLanes<S>) {
      const int64_t lanes = std::min<int64_t>(kLanes<S>, n.first + n.count - i), j = n.half + i;
      const auto add = [&](int64_t place, Vec<S> value) {
        if (!to_a) return;
        store_some(to_a + place, sums ? load_some(to_a + place, lanes) + value : value, lanes);
      };
      const Vec<S> g = load_some(of + i, lanes) + load_some(back + i, lanes);
      const Vec<S> factor = load_some(at + i, lanes), re = load_some(before + i, lanes);
      store_some(to_b + i, g, lanes);
      if constexpr (Complex) {
        const Vec<S> k = load_some(of + j, lanes) + load_some(back + j, lanes);
        const Vec<S> turn = load_some(at + j, lanes), im = load_some(before + j, lanes);
        store_some(to_b + j, k, lanes);
        add(i, g * re + k * im);
        add(j, k * re - g * im);
        store_some(back + i, factor * g + turn * k, lanes);
        store_some(back + j, factor * k - turn * g, lanes);
      } else {
        add(i, g * re);
        store_some(back + i, factor * g, lanes);
      }
    }
  }
}

// Raises an error for operands that do not fit together: the loops do not check sizes.
inline void check_scan(const Tensor& a, const Tensor& b, const Tensor& start, bool complex) {
  TORCH_CHECK_VALUE(b.dim() == 3 && b.numel() > 0, "b must be (batch, time, units), not ", b.sizes());
  const int64_t units = b.size(2);
  TORCH_CHECK_VALUE(a.sizes() == b.sizes() || (a.dim() == 1 && a.size(0) == units), "a must be of shape ", b.sizes(),
                    " or [", units, "], not ", a.sizes());
  TORCH_CHECK_VALUE(start.dim() == 2 && start.size(0) == b.size(0) && start.size(1) == units,
                    "the start must be (batch, units), not ", start.sizes());
  TORCH_CHECK_VALUE(!complex || units % 2 == 0, "complex numbers need an even number of units, not ", units);
  for (const Tensor* value : {&a, &start})
    TORCH_CHECK_TYPE(value->scalar_type() == b.scalar_type(), "all operands must be ", b.scalar_type(), " as b is");
}

inline Tensor with_near_units(const Tensor& x) { return x.stride(-1) == 1 ? x : x.contiguous(); }

// Returns h, (batch, time, units).
template <class S>
Tensor scan(const Tensor& a, const Tensor& b, const Tensor& start, bool complex) {
  const int64_t batch = b.size(0), time = b.size(1), units = b.size(2);
  const Tensor near_a = with_near_units(a), near_b = with_near_units(b), first = start.contiguous();
  const Tensor h = at::empty({batch, time, units}, b.options());
  const Series<S> as(near_a), bs(near_b);
  const auto run = complex ? scan_span<S, true> : scan_span<S, false>;
  spans<S>(batch, units, complex,
           [&](const Span& n) { run(n, time, units, as, bs, first.data_ptr<S>(), h.data_ptr<S>()); });
  return h;
}

// Returns the gradients of a (undefined unless it is asked for), b and the start. That of an a that is the same at every
// step is (batch, units), to be summed over the batch.
template <class S>
std::tuple<Tensor, Tensor, Tensor> scan_backward(const Tensor& a, const Tensor& h, const Tensor& start,
                                                 const Tensor& of_h, bool complex, bool wants_a) {
  const int64_t batch = h.size(0), time = h.size(1), units = h.size(2);
  const bool sums = a.dim() == 1;
  const Tensor near_a = with_near_units(a), near_of_h = with_near_units(of_h), first = start.contiguous();
  const Tensor of_b = at::empty({batch, time, units}, h.options());
  const Tensor of_start = at::zeros({batch, units}, h.options());
  Tensor of_a;
  if (wants_a) of_a = sums ? at::zeros({batch, units}, h.options()) : at::empty({batch, time, units}, h.options());
  const Series<S> as(near_a), of(near_of_h);
  const auto run = complex ? scan_span_backward<S, true> : scan_span_backward<S, false>;
  spans<S>(batch, units, complex, [&](const Span& n) {
    run(n, time, units, as, h.data_ptr<S>(), first.data_ptr<S>(), of, sums, wants_a ? of_a.data_ptr<S>() : nullptr,
        of_b.data_ptr<S>(), of_start.data_ptr<S>());
  });
  return {of_a, of_b, of_start};
}

}  // namespace workbench
