// Vectors of the processor's width, and the functions of them that the recurrence needs.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace workbench {

#if defined(__AVX512F__)
constexpr int kBytes = 64;
constexpr int kRegisters = 32;
#elif defined(__AVX__)
constexpr int kBytes = 32;
constexpr int kRegisters = 16;
#else
constexpr int kBytes = 16;
constexpr int kRegisters = 16;
#endif

template <class S>
struct Simd {
  static constexpr int lanes = kBytes / sizeof(S);
  typedef S type __attribute__((vector_size(kBytes)));
};
template <class S>
using Vec = typename Simd<S>::type;
template <class S>
constexpr int kLanes = Simd<S>::lanes;
typedef int32_t Bits __attribute__((vector_size(kBytes)));

// The address need not be aligned: rows of x and y are not.
template <class S>
inline Vec<S> load(const S* from) {
  Vec<S> v;
  std::memcpy(&v, from, sizeof(v));
  return v;
}

template <class S>
inline void store(S* to, Vec<S> v) {
  std::memcpy(to, &v, sizeof(v));
}

// The first `count` lanes; the others are 0.
template <class S>
inline Vec<S> load_some(const S* from, int64_t count) {
  if (count >= kLanes<S>) return load(from);
  Vec<S> v{};
  std::memcpy(&v, from, count * sizeof(S));
  return v;
}

template <class S>
inline void store_some(S* to, Vec<S> v, int64_t count) {
  if (count >= kLanes<S>) return store(to, v);
  std::memcpy(to, &v, count * sizeof(S));
}

template <class S>
inline Vec<S> all(S value) {
  return Vec<S>{} + value;
}

template <class S>
inline Vec<S> abs(Vec<S> x) {
  return x < 0 ? -x : x;
}

template <class S>
inline Vec<S> max(Vec<S> a, Vec<S> b) {
  return a > b ? a : b;
}

// exp(x) for x <= 0. Below -87.3, where the result would be subnormal, it is 0; NaN stays NaN.
inline Vec<float> exp_negative(Vec<float> x) {
  // Adding 1.5 * 2^23 rounds to a whole number, which is then in the lowest bits.
  const float magic = 12582912.0f;
  const Vec<float> shifted = x * 1.44269504f + magic;
  const Vec<float> n = shifted - magic;
  const Vec<float> f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  // Minimax in [-ln 2 / 2, ln 2 / 2], relative error 2e-9.
  Vec<float> p = all(0.001383683503f);
  p = p * f + 0.008374824053f;
  p = p * f + 0.0416682262f;
  p = p * f + 0.1666642007f;
  p = p * f + 0.4999999208f;
  p = p * f + 1.0f;
  p = p * f + 1.0f;
  Bits bits;
  std::memcpy(&bits, &shifted, sizeof(bits));
  Bits scaled;
  std::memcpy(&scaled, &p, sizeof(p));
  scaled += bits << 23;
  std::memcpy(&p, &scaled, sizeof(p));
  // The arithmetic on bits might turn a NaN into a number.
  return x >= -87.3f ? p : (x == x ? Vec<float>{} : x);
}

// atanh(s) for s^2 <= 1/9, relative error 4e-9.
inline Vec<float> atanh_small(Vec<float> s) {
  const Vec<float> t = s * s;
  Vec<float> p = all(0.140891672f);
  p = p * t + 0.1398030143f;
  p = p * t + 0.2001245514f;
  p = p * t + 0.3333315734f;
  p = p * t + 1.0f;
  return p * s;
}

// tanh(x)
inline Vec<float> tanh(Vec<float> x) {
  const Vec<float> a = abs<float>(x), t = x * x;
  const Vec<float> e = exp_negative(-2.0f * a);
  const Vec<float> far = (1.0f - e) / (1.0f + e);
  // Near 0 the difference above loses digits; minimax in [-0.625, 0.625], relative error 2e-8.
  Vec<float> p = all(-0.006096935195f);
  p = p * t + 0.02099735197f;
  p = p * t - 0.05385095185f;
  p = p * t + 0.1333277007f;
  p = p * t - 0.3333332895f;
  const Vec<float> near = x + x * t * p;
  return a < 0.625f ? near : (x < 0 ? -far : far);
}

// log(x) for normal x > 0, infinity and NaN.
inline Vec<float> log(Vec<float> x) {
  Bits bits;
  std::memcpy(&bits, &x, sizeof(bits));
  // The mantissa in [sqrt(1/2), sqrt(2)), the exponent beside it.
  const Bits e = (bits - 0x3f3504f3) >> 23;
  bits -= e << 23;
  Vec<float> m;
  std::memcpy(&m, &bits, sizeof(m));
  const Vec<float> n = __builtin_convertvector(e, Vec<float>);
  const Vec<float> l = 2.0f * atanh_small((m - 1.0f) / (m + 1.0f));
  return x <= 3.40282347e38f ? (l - n * 2.12194440e-4f) + n * 0.693359375f : x;
}

// The logistic function and its logarithm, from one exponential and one division:
// for x >= 0, keep = 1 / (1 + exp(-x)), less = exp(-x) / (1 + exp(-x)), log1p = log(1 + exp(-x)).
template <class S>
struct Logistic {
  Vec<S> keep, less, log1p;
};

inline Logistic<float> logistic(Vec<float> x) {
  const Vec<float> e = exp_negative(-x), one = 1.0f + e, two = 2.0f + e;
  const Vec<float> both = 1.0f / (one * two);
  const Vec<float> keep = both * two;
  // log(1 + e) = 2 atanh(e / (2 + e))
  return {keep, e * keep, 2.0f * atanh_small(e * both * one)};
}

// Double precision is for comparisons and finite differences: exactness before speed.
#define WORKBENCH_EACH(name, expression)          \
  inline Vec<double> name(Vec<double> x) {        \
    for (int i = 0; i < kLanes<double>; ++i) {    \
      const double v = x[i];                      \
      x[i] = (expression);                        \
    }                                             \
    return x;                                     \
  }
WORKBENCH_EACH(exp_negative, std::exp(v))
WORKBENCH_EACH(tanh, std::tanh(v))
WORKBENCH_EACH(log, std::log(v))
WORKBENCH_EACH(log1p, std::log1p(v))
#undef WORKBENCH_EACH

inline Logistic<double> logistic(Vec<double> x) {
  const Vec<double> e = exp_negative(-x), keep = 1.0 / (1.0 + e);
  return {keep, e * keep, log1p(e)};
}

}  // namespace workbench
