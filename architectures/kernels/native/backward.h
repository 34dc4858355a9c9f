// The gradient of the recurrence. The pointwise formulas of a step follow at once on the product that brings its gradient
// back, and the weights' gradients are added up every few steps, while what they are made of is still in the cache.
#pragma once

#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include "average.h"

namespace workbench {

// The recurrent weights in the order in which the products read them:
// for each pair of panels [k][units], k running over [dg | dp | dq].
template <class S, int G>
void pack_backward(const Sizes<S>& n, const Tensor& weight_h, Vec<S>* to) {
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

// Sums of products over rows and steps: for each pair of panels of h_{t-1} and each row of [dg | dp | dq] two vectors,
// and for each vector of [dg | dp | dq | du] one of every column of [x | 1].
template <class S>
struct Sums {
  Vectors<S> of_h, of_x;
};

// What is worked on in the backward pass of some rows.
template <class S, int G>
struct Backward {
  const Sizes<S>& n;
  const Options& options;
  const Kept& kept;
  const Vec<S>* weights;
  const Vec<S>* saved;
  const S* ys;
  const S* gy;  // of the first row; null where there is none
  int64_t gy_row, gy_time;  // how far it is to the next
  int64_t from, rows, chunk;
  Vec<S>*R, *Lambda;
  S* operand;    // [pair][row of the chunk][2 vectors] of h_{t-1}
  S* operand_x;  // [row of the chunk][x | 1]

  static constexpr int64_t L = kLanes<S>;
  int64_t P() const { return n.padded; }
  int64_t pairs() const { return (n.panels + 1) / 2; }
  // A vector more than needed: at a power of two all rows would fall on the same lines of the cache.
  int64_t width() const { return (G + 1) * P() + L; }

  // The gradient of h that comes back from the gradients of the step after it.
  template <int N>
  void returned(const S* next, int64_t pair, int64_t first, Vec<S> (&to)[N][2]) const {
    product<S, N, 2>(next + first * width(), width(), 1, scalars<S>(weights + pair * G * P() * 2), 2 * L, G * P(), to);
  }

  // One step: `next` holds the gradients of the step after it, `mine` gets those of this one, at row `slot` of the chunk.
  void step(int64_t t, const S* next, S* mine, int64_t slot) const {
    for (int64_t pair = 0; pair < pairs(); ++pair)
      tiles<kRows<S, 2>>(rows, [&]<int N>(int64_t first) {
        Vec<S> back[N][2];
        returned<N>(next, pair, first, back);
        for (int64_t panel = 2 * pair; panel < std::min(2 * pair + 2, n.panels); ++panel)
          for (int i = 0; i < N; ++i)
            pointwise(t, first + i, panel, back[i][panel % 2], mine + (first + i) * width() + panel * L,
                      operand + ((pair * chunk * rows + slot + first + i) * 2 + panel % 2) * L);
      });
  }

  void pointwise(int64_t t, int64_t row, int64_t panel, Vec<S> back, S* to, S* came_from) const {
    const int64_t at = panel * rows + row, lanes = n.lanes(panel);
    const int64_t place = (t * n.batch + from + row) * n.units + panel * L;
    const Vec<S>* keep = saved + ((t * n.panels + panel) * n.batch + from + row) * kept.count();
    const Vec<S> u = keep[kept.u], th = keep[kept.th], difference = keep[kept.d], delta = keep[kept.delta];
    const Logistic<S> s = logistic(abs<S>(delta));
    const Vec<S> w = delta < 0 ? s.less : s.keep, stays = delta < 0 ? s.keep : s.less;
    const Vec<S> before = u * th - difference, out = load_some(ys + place, lanes);
    Vec<S> grad = gy ? load_some(gy + row * gy_row + t * gy_time + panel * L, lanes) : Vec<S>{};
    if (options.output_tanh) grad *= 1 - out * out;
    grad += back;
    Vec<S> h_before = before;
    if (options.hidden_tanh) {
      const Vec<S> h = options.output_tanh ? tanh(before + w * difference) : out;
      grad *= 1 - h * h;
      h_before = options.output_tanh || t == 0 ? tanh(before) : load_some(ys + place - n.batch * n.units, lanes);
    }
    const Vec<S> total = R[at] + grad, moved = total * difference, dz = total * w;
    const Vec<S> dalpha = w * (stays * moved + Lambda[at]);
    const Vec<S> carried = stays * (Lambda[at] - w * moved);
    store(to, dz * u * (1 - th * th));
    store(to + P(), kept.sloped ? dalpha * keep[kept.slope()] : dalpha);
    if constexpr (G == 3) store(to + 2 * P(), carried * keep[kept.sq()]);
    store(to + G * P(), dz * th);
    store(came_from, h_before);
    R[at] = stays * total;
    Lambda[at] = carried;
  }

  // Adds the products of `count` rows of gradients with what they came from.
  void add(const S* grads, int64_t count, Sums<S>& sums) const {
    for (int64_t pair = 0; pair < pairs(); ++pair)
      tiles<kRows<S, 2>>(G * P(), [&]<int N>(int64_t first) {
        Vec<S> sum[N][2];
        product<S, N, 2>(grads + first, 1, width(), operand + pair * chunk * rows * 2 * L, 2 * L, count, sum);
        Vec<S>* const to = sums.of_h.data() + (pair * G * P() + first) * 2;
        for (int i = 0; i < N; ++i)
          for (int j = 0; j < 2; ++j) to[i * 2 + j] += sum[i][j];
      });
    for (int64_t vector = 0; vector < (G + 1) * n.panels; ++vector)
      tiles<kRows<S, 1>>(n.inputs + 1, [&]<int N>(int64_t first) {
        Vec<S> sum[N][1];
        product<S, N, 1>(operand_x + first, 1, n.inputs + 1, grads + vector * L, width(), count, sum);
        Vec<S>* const to = sums.of_x.data() + vector * (n.inputs + 1) + first;
        for (int i = 0; i < N; ++i) to[i] += sum[i][0];
      });
  }
};

template <class S, int G>
void backward_rows(const Sizes<S>& n, const Options& options, const Kept& kept, const Vec<S>* weights,
                   const Vec<S>* saved, const Tensor& x, const Tensor& y, const Tensor& r0, const Tensor& grad_y,
                   const Tensor& weight_x, S* grad_x, S* grad_r, S* grad_l, Sums<S>& sums, int64_t from, int64_t to) {
  const int64_t rows = to - from, L = kLanes<S>, chunk = chunk_of(rows, n.time);
  Vectors<S> adjoints(2 * rows * n.panels), of_h((n.panels + 1) / 2 * chunk * rows * 2);
  std::vector<S> of_x(chunk * rows * (n.inputs + 1));
  const bool given = grad_y.defined();
  const Backward<S, G> work{
      n, options, kept, weights, saved, y.data_ptr<S>(), given ? grad_y.data_ptr<S>() + from * grad_y.stride(0) : nullptr,
      given ? grad_y.stride(0) : 0, given ? grad_y.stride(1) : 0, from, rows, chunk, adjoints.data(),
      adjoints.data() + rows * n.panels, of_h.scalars(), of_x.data()};
  const int64_t width = work.width();
  Vectors<S> grads((chunk + 1) * rows * width / L);
  const auto xs = x.accessor<S, 3>();
  const auto r_0 = r0.accessor<S, 2>();
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t panel = 0; panel < n.panels; ++panel) {
      work.R[panel * rows + i] = load_some(grad_r + (from + i) * n.units + panel * L, n.lanes(panel));
      work.Lambda[panel * rows + i] = load_some(grad_l + (from + i) * n.units + panel * L, n.lanes(panel));
    }
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
    if (grad_x) {
      const Tensor all = at::from_blob(slots, {count, (G + 1) * n.padded}, {width, 1}, x.options());
      const Tensor to_x = at::mm(all, weight_x);
      const S* value = to_x.data_ptr<S>();
      for (int64_t t = first_step; t <= last; ++t)
        for (int64_t i = 0; i < rows; ++i, value += n.inputs)
          std::copy(value, value + n.inputs, grad_x + ((from + i) * n.time + t) * n.inputs);
    }
    std::copy(slots, slots + rows * width, after);
    last = first_step - 1;
  }
  // What h_0 = f_h(r_0) passes on to r_0.
  for (int64_t pair = 0; pair < work.pairs(); ++pair)
    tiles<kRows<S, 2>>(rows, [&]<int N>(int64_t first) {
      Vec<S> back[N][2];
      work.template returned<N>(after, pair, first, back);
      for (int64_t panel = 2 * pair; panel < std::min(2 * pair + 2, n.panels); ++panel)
        for (int i = 0; i < N; ++i) {
          const int64_t row = first + i, at = panel * rows + row, place = (from + row) * n.units + panel * L;
          Vec<S> grad = back[i][panel % 2], before{};
          for (int64_t lane = 0; lane < n.lanes(panel); ++lane) before[lane] = r_0[from + row][panel * L + lane];
          if (options.hidden_tanh) {
            const Vec<S> h = tanh(before);
            grad *= 1 - h * h;
          }
          store_some(grad_r + place, work.R[at] + grad, n.lanes(panel));
          store_some(grad_l + place, work.Lambda[at], n.lanes(panel));
        }
    });
}

template <class S, int G>
Outcome backward(
    const Tensor& x, const Tensor& weight_x, const Tensor& weight_h, const Tensor& r0, const Tensor& y,
    const Tensor& saved, const std::optional<Tensor>& given_y, const std::optional<Tensor>& given_r,
    const std::optional<Tensor>& given_l, const Options& options, bool wants_x) {
  const Sizes<S> n(x.size(0), x.size(1), x.size(2), weight_h.size(0));
  const Kept kept{G == 3, options.attention != kExp};
  const int64_t P = n.padded, L = kLanes<S>, pairs = (n.panels + 1) / 2;
  Vectors<S> weights(pairs * 2 * G * P);
  pack_backward<S, G>(n, weight_h, weights.data());
  // The gradients stand in the order [g | p | q | u], each padded to whole vectors.
  Tensor padded;
  if (wants_x) {
    padded = at::zeros({(G + 1) * P, n.inputs}, x.options());
    for (int j = 0; j <= G; ++j)
      padded.narrow(0, (j + G) % (G + 1) * P, n.units).copy_(weight_x.narrow(1, j * n.units, n.units).t());
  }
  const Tensor grad_x = at::empty({wants_x ? n.batch : 0, n.time, n.inputs}, x.options());
  const auto started = [&](const std::optional<Tensor>& given) {
    const Tensor made = at::zeros({n.batch, n.units}, x.options());
    return given ? made.copy_(*given) : made;
  };
  const Tensor grad_r = started(given_r), grad_l = started(given_l);
  const Tensor grad_y = !given_y ? Tensor() : given_y->stride(2) == 1 ? *given_y : given_y->contiguous();
  const int64_t parts = blocks(n.batch);
  std::vector<Sums<S>> sums;
  for (int64_t part = 0; part < parts; ++part)
    sums.push_back({Vectors<S>(pairs * G * P * 2), Vectors<S>((G + 1) * n.panels * (n.inputs + 1))});
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    at::AutoDispatchBelowADInplaceOrView below;
    for (int64_t part = begin; part < end; ++part)
      backward_rows<S, G>(n, options, kept, weights.data(), aligned<S>(saved), x, y, r0, grad_y, padded,
                          wants_x ? grad_x.data_ptr<S>() : nullptr, grad_r.data_ptr<S>(), grad_l.data_ptr<S>(),
                          sums[part], part * n.batch / parts, (part + 1) * n.batch / parts);
  });
  const Tensor grad_weight_x = at::empty({(G + 1) * n.units, n.inputs}, x.options());
  const Tensor grad_bias = at::empty({(G + 1) * n.units}, x.options());
  const Tensor grad_weight_h = at::empty({G * n.units, n.units}, x.options());
  S* const to_x = grad_weight_x.data_ptr<S>();
  S* const to_b = grad_bias.data_ptr<S>();
  S* const to_h = grad_weight_h.data_ptr<S>();
  const auto total = [&](auto Sums<S>::* which, int64_t place) {
    S sum = 0;
    for (Sums<S>& each : sums) sum += (each.*which).scalars()[place];
    return sum;
  };
  for (int j = 0; j <= G; ++j)
    for (int64_t unit = 0; unit < n.units; ++unit) {
      // [u | g | p | q] in the weights, [g | p | q | u] in the gradients.
      const int64_t row = j * n.units + unit, place = (j + G) % (G + 1) * P + unit;
      for (int64_t k = 0; k <= n.inputs; ++k)
        (k < n.inputs ? to_x[row * n.inputs + k] : to_b[row]) =
            total(&Sums<S>::of_x, (place / L * (n.inputs + 1) + k) * L + place % L);
      for (int64_t k = 0; j && k < n.units; ++k)
        to_h[(row - n.units) * n.units + k] =
            total(&Sums<S>::of_h, ((k / L / 2 * G * P + place) * 2 + k / L % 2) * L + k % L);
    }
  return {grad_x, grad_weight_x.t(), grad_bias, grad_weight_h.t(), grad_r, grad_l};
}

}  // namespace workbench
