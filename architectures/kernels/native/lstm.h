// The LSTM with a forget gate (Gers et al. 2000), its peepholes (Gers et al. 2002), and the variants that leave a part out
// (Greff et al. 2015):
// i, f = sigmoid(... + p c_{t-1}), g = tanh(...), c_t = f c_{t-1} + i g, o = sigmoid(... + p_o c_t), h_t = o tanh(c_t).
#pragma once

#include "cells.h"

namespace workbench {

// Parts, as bits of `Options::attention`; `hidden_tanh` and `output_tanh` say whether g and c pass through a tanh.
enum Part : int64_t { kInputGate = 1, kForgetGate = 2, kOutputGate = 4, kCoupled = 8 };

// G sums, those of the gates that there are in the order i, f, g, o; with fewer gates, the last sums are 0. A gate that
// is not there is 1, and a coupled input gate 1 - f. State h and c and, with peepholes, p of i, f and o: they are the
// same at every step, so that their adjoints add up over time. Saved: i, f, g, o, c_{t-1}, tanh(c_t) and the peepholes.
template <class S, int G, bool P>
struct LSTM {
  static constexpr int gates = G, features = 0, carried = P ? 5 : 2, gate_without_x = -1;
  Options options;

  bool has(Part part) const { return options.attention & part; }
  int of_f() const { return has(kInputGate); }
  int of_g() const { return of_f() + has(kForgetGate); }
  int of_o() const { return of_g() + 1; }
  int kept() const { return P ? 9 : 6; }
  Vec<S> start(const Vec<S>* state) const { return state[0]; }

  void forward(const Vec<S>* sums, Vec<S>, Vec<S>* state, Vec<S>* keep, Vec<S>& h, Vec<S>& y) const {
    const Vec<S> before = state[1], one = all<S>(1);
    const auto gate = [&](int place, int peephole, Vec<S> c) {
      return sigmoid<S>(P ? sums[place] + state[peephole] * c : sums[place]);
    };
    const Vec<S> f = has(kForgetGate) ? gate(of_f(), 3, before) : one;
    const Vec<S> i = has(kInputGate) ? gate(0, 2, before) : has(kCoupled) ? 1 - f : one;
    const Vec<S> g = options.hidden_tanh ? tanh(sums[of_g()]) : sums[of_g()];
    const Vec<S> c = f * before + i * g, squashed = options.output_tanh ? tanh(c) : c;
    const Vec<S> o = has(kOutputGate) ? gate(of_o(), 4, c) : one;
    state[1] = c;
    state[0] = h = y = o * squashed;
    if (!keep) return;
    keep[0] = i;
    keep[1] = f;
    keep[2] = g;
    keep[3] = o;
    keep[4] = before;
    keep[5] = squashed;
    for (int part = 0; P && part < 3; ++part) keep[6 + part] = state[2 + part];
  }

  void backward(const Vec<S>* keep, Vec<S>, Vec<S> of_y, Vec<S> of_h, Vec<S>* adjoint, Vec<S>* of_sums, Vec<S>&,
                Vec<S>&) const {
    const Vec<S> i = keep[0], f = keep[1], g = keep[2], o = keep[3], before = keep[4], squashed = keep[5];
    const Vec<S> grad = adjoint[0] + of_y + of_h;
    for (int j = 0; j < G; ++j) of_sums[j] = Vec<S>{};
    Vec<S> C = adjoint[1] + (options.output_tanh ? grad * o * (1 - squashed * squashed) : grad * o);
    if (has(kOutputGate)) {
      const Vec<S> of = of_sums[of_o()] = grad * squashed * o * (1 - o);
      if constexpr (P) {
        C += of * keep[8];
        adjoint[4] += of * (f * before + i * g);
      }
    }
    Vec<S> back = C * f;
    if (has(kForgetGate)) {
      const Vec<S> of = of_sums[of_f()] = C * (has(kCoupled) ? before - g : before) * f * (1 - f);
      if constexpr (P) {
        back += of * keep[7];
        adjoint[3] += of * before;
      }
    }
    if (has(kInputGate)) {
      const Vec<S> of = of_sums[0] = C * g * i * (1 - i);
      if constexpr (P) {
        back += of * keep[6];
        adjoint[2] += of * before;
      }
    }
    of_sums[of_g()] = options.hidden_tanh ? C * i * (1 - g * g) : C * i;
    adjoint[0] = Vec<S>{};
    adjoint[1] = back;
  }

  void finish(Vec<S> of_h, const Vec<S>*, Vec<S>* adjoint) const { adjoint[0] += of_h; }
};

}  // namespace workbench
