// The recurrence itself. A step is a product of [x | 1 | h] with packed weights, a few rows and a few units at a time, whose
// sums go from registers into the pointwise formulas; nothing of the size of the gates is ever written.
#pragma once

#include "average.h"

namespace workbench {

// The weights in the order in which the products read them:
// for each panel of units [k][g | p | q], k running over [x | 1 | h]; and [k][u], over [x | 1].
template <class S, int G>
void pack_forward(const Sizes<S>& n, const Tensor& weight_x, const Tensor& bias, const Tensor& weight_h, Vec<S>* gates,
                  Vec<S>* features) {
  const auto wx = weight_x.accessor<S, 2>(), wh = weight_h.accessor<S, 2>();
  const auto b = bias.accessor<S, 1>();
  for (int64_t panel = 0; panel < n.panels; ++panel) {
    const int64_t first = panel * kLanes<S>, lanes = n.lanes(panel);
    for (int64_t k = 0; k <= n.inputs; ++k) {
      for (int j = -1; j < G; ++j) {
        Vec<S>& to = j < 0 ? features[panel * (n.inputs + 1) + k] : gates[(panel * n.depth + k) * G + j];
        for (int64_t i = 0; i < lanes; ++i) {
          const int64_t column = (j + 1) * n.units + first + i;
          to[i] = k < n.inputs ? wx[k][column] : b[column];
        }
      }
    }
    for (int64_t k = 0; k < n.units; ++k)
      for (int j = 0; j < G; ++j)
        for (int64_t i = 0; i < lanes; ++i)
          gates[(panel * n.depth + n.inputs + 1 + k) * G + j][i] = wh[k][j * n.units + first + i];
  }
}

template <class S, int G>
void forward_rows(const Sizes<S>& n, const Options& options, const Kept& kept, const Vec<S>* gates,
                  const Vec<S>* features, const Tensor& x, const Tensor& r0, const Tensor& l0, S* y, S* r_all,
                  S* l_all, S* r_last, S* l_last, Vec<S>* saved, int64_t from, int64_t to) {
  const int64_t rows = to - from, L = kLanes<S>, width = n.depth;
  Vectors<S> operands(2 * (rows * width / L + rows + 2)), state(2 * rows * n.panels);
  S* now = operands.scalars();
  S* next = now + rows * width;
  Vec<S>* r = state.data();
  Vec<S>* l = r + rows * n.panels;
  const auto xs = x.accessor<S, 3>();
  const auto r_0 = r0.accessor<S, 2>(), l_0 = l0.accessor<S, 2>();
  for (int64_t i = 0; i < rows; ++i) {
    now[i * width + n.inputs] = next[i * width + n.inputs] = 1;
    for (int64_t panel = 0; panel < n.panels; ++panel) {
      for (int64_t lane = 0; lane < n.lanes(panel); ++lane) {
        r[panel * rows + i][lane] = r_0[from + i][panel * L + lane];
        l[panel * rows + i][lane] = l_0[from + i][panel * L + lane];
      }
      const Vec<S> first = r[panel * rows + i];
      store(now + i * width + n.inputs + 1 + panel * L, options.hidden_tanh ? tanh(first) : first);
    }
  }
  for (int64_t t = 0; t < n.time; ++t) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t k = 0; k < n.inputs; ++k) now[i * width + k] = xs[from + i][t][k];
    for (int64_t panel = 0; panel < n.panels; ++panel) {
      const int64_t lanes = n.lanes(panel);
      tiles<kRows<S, G>>(rows, [&]<int R>(int64_t first) {
        Vec<S> sums[R][G], u[R][1];
        const S* const rows_now = now + first * width;
        product<S, R, G>(rows_now, width, 1, scalars<S>(gates + panel * n.depth * G), G * L, n.depth, sums);
        product<S, R, 1>(rows_now, width, 1, scalars<S>(features + panel * (n.inputs + 1)), L, n.inputs + 1, u);
        for (int i = 0; i < R; ++i) {
          const int64_t row = first + i, at = panel * rows + row;
          const Vec<S> th = tanh(sums[i][0]), difference = u[i][0] * th - r[at];
          Vec<S> m = l[at], sq{}, alpha, slope{};
          if constexpr (G == 3) {
            const Vec<S> q = sums[i][2];
            const Logistic<S> s = logistic(abs<S>(q));
            sq = q < 0 ? s.keep : s.less;
            m += (q < 0 ? q : Vec<S>{}) - s.log1p;
          }
          attend<S>(options.attention, sums[i][1], alpha, slope);
          const Vec<S> delta = alpha - m;
          const Logistic<S> s = logistic(abs<S>(delta));
          const Vec<S> w = delta < 0 ? s.less : s.keep;
          l[at] = max<S>(m, alpha) + s.log1p;
          r[at] += w * difference;
          const Vec<S> h = options.hidden_tanh ? tanh(r[at]) : r[at];
          store(next + row * width + n.inputs + 1 + panel * L, h);
          const int64_t place = (t * n.batch + from + row) * n.units + panel * L;
          if (y) store_some(y + place, options.output_tanh ? tanh(h) : h, lanes);
          if (r_all) store_some(r_all + place, r[at], lanes);
          if (l_all) store_some(l_all + place, l[at], lanes);
          if (saved) {
            Vec<S>* keep = saved + ((t * n.panels + panel) * n.batch + from + row) * kept.count();
            keep[kept.u] = u[i][0];
            keep[kept.th] = th;
            keep[kept.d] = difference;
            keep[kept.delta] = delta;
            if constexpr (G == 3) keep[kept.sq()] = sq;
            if (kept.sloped) keep[kept.slope()] = slope;
          }
        }
      });
    }
    std::swap(now, next);
  }
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t panel = 0; panel < n.panels; ++panel) {
      store_some(r_last + (from + i) * n.units + panel * L, r[panel * rows + i], n.lanes(panel));
      store_some(l_last + (from + i) * n.units + panel * L, l[panel * rows + i], n.lanes(panel));
    }
}

template <class S, int G>
Outcome forward(
    const Tensor& x, const Tensor& weight_x, const Tensor& bias, const Tensor& weight_h, const Tensor& r0,
    const Tensor& l0, const Options& options, bool keep, bool states) {
  const Sizes<S> n(x.size(0), x.size(1), x.size(2), weight_h.size(0));
  const Kept kept{G == 3, options.attention != kExp};
  Vectors<S> gates(n.panels * n.depth * G), features(n.panels * (n.inputs + 1));
  pack_forward<S, G>(n, weight_x, bias, weight_h, gates.data(), features.data());
  const Tensor y = at::empty({states ? 0 : n.time, n.batch, n.units}, x.options());
  const Tensor r = at::empty({states ? n.time : 0, n.batch, n.units}, x.options());
  const Tensor l = at::empty({states ? n.time : 0, n.batch, n.units}, x.options());
  const Tensor r_last = at::empty({n.batch, n.units}, x.options()), l_last = at::empty({n.batch, n.units}, x.options());
  const Tensor saved = vectors<S>(keep ? n.time * n.panels * n.batch * kept.count() : 0, x);
  S* outputs = states ? nullptr : y.data_ptr<S>();
  S* averages = states ? r.data_ptr<S>() : nullptr;
  S* logarithms = states ? l.data_ptr<S>() : nullptr;
  const int64_t parts = blocks(n.batch);
  at::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part)
      forward_rows<S, G>(n, options, kept, gates.data(), features.data(), x, r0, l0, outputs, averages, logarithms,
                         r_last.data_ptr<S>(), l_last.data_ptr<S>(), keep ? aligned<S>(saved) : nullptr,
                         part * n.batch / parts, (part + 1) * n.batch / parts);
  });
  return {y, r, l, r_last, l_last, saved};
}

}  // namespace workbench
