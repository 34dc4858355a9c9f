// The cells: the pointwise formulas of one step, forward and backward, for one vector of units. There are the averages
// (RWA, RDA), the GRU and the plain RNN; the LSTM and its variants are in lstm.h, the sLSTM in slstm.h.
//
// A cell has `gates` sums over [x | 1 | h] and, if `features` is 1, one over [x | 1]. Its state consists of `carried`
// vectors, and `kept()` vectors of each step are saved for the backward pass. The weights of x are 0 in
// `gate_without_x`, which is then summed without x where that is not finite; -1 if there is no such gate.
#pragma once

#include "vector.h"

namespace workbench {

// The attention function and activations of the averages. The LSTMs have their own meanings for them (lstm.h, slstm.h).
struct Options {
  int64_t attention;
  bool hidden_tanh, output_tanh;
};

enum Attention : int64_t { kExp, kSigmoid, kSoftplus, kRelu };

template <class S>
inline Vec<S> sigmoid(Vec<S> x) {
  const Vec<S> e = exp_negative(-abs<S>(x)), keep = 1 / (1 + e);
  return x < 0 ? e * keep : keep;
}

// Computes alpha = log f_a(p) and its slope.
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

// The share of the newest step in a running average, and that of the past, from delta = alpha - m: the logarithm of the
// new weight less that of the discounted sum of the weights before.
template <class S>
struct Shares {
  Vec<S> w, stays;
  explicit Shares(Vec<S> delta) : Shares(delta, logistic(abs<S>(delta))) {}
  Shares(Vec<S> delta, const Logistic<S>& s) : w(delta < 0 ? s.less : s.keep), stays(delta < 0 ? s.keep : s.less) {}
};

// Returns log sigmoid(q), and its slope sigmoid(-q).
template <class S>
inline Vec<S> log_sigmoid(Vec<S> q, Vec<S>& slope) {
  const Logistic<S> s = logistic(abs<S>(q));
  slope = q < 0 ? s.keep : s.less;
  return (q < 0 ? q : Vec<S>{}) - s.log1p;
}

// Computes the average r and the logarithm l of its denominator after a step, and returns delta.
template <class S>
inline Vec<S> average(Vec<S> alpha, Vec<S> m, Vec<S> difference, Vec<S>& r, Vec<S>& l) {
  const Vec<S> delta = alpha - m;
  const Logistic<S> s = logistic(abs<S>(delta));
  l = max<S>(m, alpha) + s.log1p;
  r += Shares<S>(delta, s).w * difference;
  return delta;
}

// Computes the adjoints of r and l before a step from those after it, R and L, and returns those of z and alpha. The one
// of the discount's logarithm is that of l before.
template <class S>
struct AverageGradient {
  Vec<S> of_z, of_alpha;
  AverageGradient(const Shares<S>& share, Vec<S> difference, Vec<S> R, Vec<S> L, Vec<S>& of_r, Vec<S>& of_l) {
    const Vec<S> moved = R * difference;
    of_z = R * share.w;
    of_alpha = share.w * (share.stays * moved + L);
    of_r = share.stays * R;
    of_l = share.stays * (L - share.w * moved);
  }
};

// The averages, in the letters of ../autograd.py; gates [g | p | q], feature u, state r and l. Saved: u, tanh(g),
// z_t - r_{t-1}, delta = alpha - m and, if they exist, sigmoid(-q) and (log f_a)'(p).
template <class S, int G>
struct Average {
  static constexpr int gates = G, features = 1, carried = 2, gate_without_x = -1;
  Options options;

  bool sloped() const { return options.attention != kExp; }
  int kept() const { return 4 + (G == 3) + sloped(); }
  Vec<S> start(const Vec<S>* state) const { return options.hidden_tanh ? tanh(state[0]) : state[0]; }

  void forward(const Vec<S>* sums, Vec<S> u, Vec<S>* state, Vec<S>* keep, Vec<S>& h, Vec<S>& y) const {
    Vec<S>&r = state[0], &l = state[1];
    const Vec<S> th = tanh(sums[0]), difference = u * th - r;
    Vec<S> m = l, sq{}, alpha, slope{};
    if constexpr (G == 3) m += log_sigmoid<S>(sums[2], sq);
    attend<S>(options.attention, sums[1], alpha, slope);
    const Vec<S> delta = average<S>(alpha, m, difference, r, l);
    h = options.hidden_tanh ? tanh(r) : r;
    y = options.output_tanh ? tanh(h) : h;
    if (!keep) return;
    keep[0] = u;
    keep[1] = th;
    keep[2] = difference;
    keep[3] = delta;
    if constexpr (G == 3) keep[4] = sq;
    if (sloped()) keep[4 + (G == 3)] = slope;
  }

  // Computes the gradients of the sums and the feature from those of y_t and, through the gates of the next step, of
  // h_t. `adjoint` holds the adjoints of the state. `h_before` is y_{t-1} (or h_0) on entry and h_{t-1} on return.
  void backward(const Vec<S>* keep, Vec<S> y, Vec<S> of_y, Vec<S> of_h, Vec<S>* adjoint, Vec<S>* of_sums, Vec<S>& of_u,
                Vec<S>& h_before) const {
    const Vec<S> u = keep[0], th = keep[1], difference = keep[2];
    const Shares<S> share(keep[3]);
    const Vec<S> before = u * th - difference;
    Vec<S> grad = (options.output_tanh ? of_y * (1 - y * y) : of_y) + of_h;
    if (options.hidden_tanh) {
      const Vec<S> h = options.output_tanh ? tanh(before + share.w * difference) : y;
      grad *= 1 - h * h;
      if (options.output_tanh) h_before = tanh(before);
    } else if (options.output_tanh) {
      h_before = before;
    }
    const AverageGradient<S> of(share, difference, adjoint[0] + grad, adjoint[1], adjoint[0], adjoint[1]);
    of_u = of.of_z * th;
    of_sums[0] = of.of_z * u * (1 - th * th);
    of_sums[1] = sloped() ? of.of_alpha * keep[4 + (G == 3)] : of.of_alpha;
    if constexpr (G == 3) of_sums[2] = adjoint[1] * keep[4];
  }

  // Adds the gradient of h_0 to the adjoints of the initial state.
  void finish(Vec<S> of_h, const Vec<S>* state, Vec<S>* adjoint) const {
    const Vec<S> h = start(state);
    adjoint[0] += options.hidden_tanh ? of_h * (1 - h * h) : of_h;
  }
};

// The GRU as PyTorch has it (Cho et al. 2014, with the reset after the product):
// r, z = sigmoid(...), n = tanh(W x + b + r (U h + c)), h_t = (1 - z) n + z h_{t-1};
// gates [r | z | U h + c], feature W x + b.
template <class S>
struct GRU {
  static constexpr int gates = 3, features = 1, carried = 1, gate_without_x = 2;

  int kept() const { return 4; }
  Vec<S> start(const Vec<S>* state) const { return state[0]; }

  void forward(const Vec<S>* sums, Vec<S> u, Vec<S>* state, Vec<S>* keep, Vec<S>& h, Vec<S>& y) const {
    const Vec<S> r = sigmoid<S>(sums[0]), z = sigmoid<S>(sums[1]), n = tanh(u + r * sums[2]);
    state[0] = h = y = n + z * (state[0] - n);
    if (!keep) return;
    keep[0] = r;
    keep[1] = z;
    keep[2] = n;
    keep[3] = sums[2];
  }

  void backward(const Vec<S>* keep, Vec<S>, Vec<S> of_y, Vec<S> of_h, Vec<S>* adjoint, Vec<S>* of_sums, Vec<S>& of_u,
                Vec<S>& h_before) const {
    const Vec<S> r = keep[0], z = keep[1], n = keep[2], grad = adjoint[0] + of_y + of_h;
    of_u = grad * (1 - z) * (1 - n * n);
    of_sums[0] = of_u * keep[3] * r * (1 - r);
    of_sums[1] = grad * (h_before - n) * z * (1 - z);
    of_sums[2] = of_u * r;
    adjoint[0] = grad * z;
  }

  void finish(Vec<S> of_h, const Vec<S>*, Vec<S>* adjoint) const { adjoint[0] += of_h; }
};

// h_t = tanh(W x + U h_{t-1} + b) (Elman 1990)
template <class S>
struct RNN {
  static constexpr int gates = 1, features = 0, carried = 1, gate_without_x = -1;

  int kept() const { return 0; }
  Vec<S> start(const Vec<S>* state) const { return state[0]; }

  void forward(const Vec<S>* sums, Vec<S>, Vec<S>* state, Vec<S>*, Vec<S>& h, Vec<S>& y) const {
    state[0] = h = y = tanh(sums[0]);
  }

  void backward(const Vec<S>*, Vec<S> y, Vec<S> of_y, Vec<S> of_h, Vec<S>* adjoint, Vec<S>* of_sums, Vec<S>&,
                Vec<S>&) const {
    of_sums[0] = (adjoint[0] + of_y + of_h) * (1 - y * y);
    adjoint[0] = Vec<S>{};
  }

  void finish(Vec<S> of_h, const Vec<S>*, Vec<S>* adjoint) const { adjoint[0] += of_h; }
};

}  // namespace workbench
