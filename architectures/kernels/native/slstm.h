// The sLSTM (Beck et al. 2024, arXiv 2405.04517, section 2.2), as the average that it is: c_t / n_t = r_t with the weights
// exp(p) and the discount sigmoid(q), or exp(q):
// z = tanh(...), l_t = log(exp(log f + l_{t-1}) + exp(p)), r_t = r_{t-1} + exp(p - l_t) (z - r_{t-1}), h_t = sigmoid(o) r_t.
#pragma once

#include "cells.h"

namespace workbench {

// Gates [z | p | q | o]; state r, l and h. `Options::attention` is 1 for a forget gate exp(q). Saved: z, z_t - r_{t-1},
// delta = p - m, the slope of log f and sigmoid(o).
template <class S>
struct SLSTM {
  static constexpr int gates = 4, features = 0, carried = 3, gate_without_x = -1;
  Options options;

  int kept() const { return 5; }
  Vec<S> start(const Vec<S>* state) const { return state[2]; }

  void forward(const Vec<S>* sums, Vec<S>, Vec<S>* state, Vec<S>* keep, Vec<S>& h, Vec<S>& y) const {
    Vec<S>&r = state[0], &l = state[1], slope = all<S>(1);
    const Vec<S> z = tanh(sums[0]), difference = z - r;
    const Vec<S> m = l + (options.attention ? sums[2] : log_sigmoid<S>(sums[2], slope));
    const Vec<S> delta = average<S>(sums[1], m, difference, r, l), o = sigmoid<S>(sums[3]);
    state[2] = h = y = o * r;
    if (!keep) return;
    keep[0] = z;
    keep[1] = difference;
    keep[2] = delta;
    keep[3] = slope;
    keep[4] = o;
  }

  void backward(const Vec<S>* keep, Vec<S>, Vec<S> of_y, Vec<S> of_h, Vec<S>* adjoint, Vec<S>* of_sums, Vec<S>&,
                Vec<S>&) const {
    const Vec<S> z = keep[0], difference = keep[1], o = keep[4], grad = adjoint[2] + of_y + of_h;
    const Shares<S> share(keep[2]);
    of_sums[3] = grad * (z - difference + share.w * difference) * o * (1 - o);
    const AverageGradient<S> of(share, difference, adjoint[0] + grad * o, adjoint[1], adjoint[0], adjoint[1]);
    of_sums[0] = of.of_z * (1 - z * z);
    of_sums[1] = of.of_alpha;
    of_sums[2] = adjoint[1] * keep[3];
    adjoint[2] = Vec<S>{};
  }

  void finish(Vec<S> of_h, const Vec<S>*, Vec<S>* adjoint) const { adjoint[2] += of_h; }
};

}  // namespace workbench
