// The recurrences of the RWA, the RDA, the LSTMs, the GRU and the RNN, and the linear one, and a convolution of a few
// taps, all with their gradients, as PyTorch operators. The rows of a batch are divided among threads, each of which
// runs its sequences from the first step to the last.

#include <torch/library.h>

#include <string_view>

#include "backward.h"
#include "convolution.h"
#include "forward.h"
#include "lstm.h"
#include "scan.h"
#include "slstm.h"

namespace workbench {

// Calls work(cell) with the cell that has this name.
template <class S, class Work>
auto with_cell(std::string_view name, const Options& options, Work&& work) {
  if (name == "rwa") return work(Average<S, 2>{options});
  if (name == "rda") return work(Average<S, 3>{options});
  if (name == "slstm") return work(SLSTM<S>{options});
  if (name == "gru") return work(GRU<S>{});
  if (name == "lstm") return work(LSTM<S, 4, false>{options});
  if (name == "lstm-3") return work(LSTM<S, 3, false>{options});
  if (name == "lstm-peephole") return work(LSTM<S, 4, true>{options});
  if (name == "lstm-peephole-3") return work(LSTM<S, 3, true>{options});
  TORCH_CHECK_VALUE(name == "rnn", "there is no cell ", name);
  return work(RNN<S>{});
}

std::tuple<Tensor, Tensor, Tensor, Tensor> run(std::string_view cell, const Tensor& x, const Tensor& weight_x,
                                               const Tensor& bias, const Tensor& weight_h, const Tensor& start,
                                               int64_t attention, bool hidden_tanh, bool output_tanh, bool keep,
                                               bool states) {
  const Options options{attention, hidden_tanh, output_tanh};
  const auto as = [&]<class S>(S) {
    return with_cell<S>(cell, options, [&]<class Cell>(const Cell& of) {
      return forward<S, Cell>(of, x, weight_x, bias, weight_h, start, keep, states);
    });
  };
  return x.scalar_type() == at::kDouble ? as(double{}) : as(float{});
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> run_backward(
    std::string_view cell, const Tensor& x, const Tensor& weight_x, const Tensor& weight_h, const Tensor& start,
    const Tensor& y, const Tensor& saved, const std::optional<Tensor>& of_y, const std::optional<Tensor>& of_last,
    int64_t attention, bool hidden_tanh, bool output_tanh, bool wants_x) {
  const Options options{attention, hidden_tanh, output_tanh};
  const auto as = [&]<class S>(S) {
    return with_cell<S>(cell, options, [&]<class Cell>(const Cell& of) {
      return backward<S, Cell>(of, x, weight_x, weight_h, start, y, saved, of_y, of_last, wants_x);
    });
  };
  return x.scalar_type() == at::kDouble ? as(double{}) : as(float{});
}

Tensor run_scan(const Tensor& a, const Tensor& b, const Tensor& start, bool complex) {
  check_scan(a, b, start, complex);
  return b.scalar_type() == at::kDouble ? scan<double>(a, b, start, complex) : scan<float>(a, b, start, complex);
}

std::tuple<Tensor, Tensor, Tensor> run_scan_backward(const Tensor& a, const Tensor& h, const Tensor& start,
                                                     const Tensor& of_h, bool complex, bool wants_a) {
  check_scan(a, h, start, complex);
  check_scan(a, of_h, start, complex);
  return h.scalar_type() == at::kDouble ? scan_backward<double>(a, h, start, of_h, complex, wants_a)
                                        : scan_backward<float>(a, h, start, of_h, complex, wants_a);
}

Tensor run_convolution(const Tensor& x, const Tensor& past, const Tensor& weights) {
  check_convolution(x, past, weights);
  return x.scalar_type() == at::kDouble ? convolve<double>(x, past, weights) : convolve<float>(x, past, weights);
}

std::tuple<Tensor, Tensor, Tensor> run_convolution_backward(const Tensor& x, const Tensor& past, const Tensor& weights,
                                                            const Tensor& of_y) {
  check_convolution(x, past, weights);
  TORCH_CHECK_VALUE(of_y.sizes() == x.sizes() && of_y.scalar_type() == x.scalar_type(),
                    "the gradient must be like x, ", x.sizes(), ", not ", of_y.sizes());
  return x.scalar_type() == at::kDouble ? convolve_backward<double>(x, past, weights, of_y)
                                        : convolve_backward<float>(x, past, weights, of_y);
}

}  // namespace workbench

TORCH_LIBRARY(sequence_workbench, library) {
  library.def(
      "run(str cell, Tensor x, Tensor weight_x, Tensor bias, Tensor weight_h, Tensor start, int attention, bool "
      "hidden_tanh, bool output_tanh, bool keep, bool states) -> (Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "run_backward(str cell, Tensor x, Tensor weight_x, Tensor weight_h, Tensor start, Tensor y, Tensor saved, Tensor? "
      "of_y, Tensor? of_last, int attention, bool hidden_tanh, bool output_tanh, bool wants_x) -> (Tensor, Tensor, "
      "Tensor, Tensor, Tensor)");
  library.def("scan(Tensor a, Tensor b, Tensor start, bool complex) -> Tensor");
  library.def(
      "scan_backward(Tensor a, Tensor h, Tensor start, Tensor of_h, bool complex, bool wants_a) -> (Tensor, Tensor, "
      "Tensor)");
  library.def("convolution(Tensor x, Tensor past, Tensor weights) -> Tensor");
  library.def("convolution_backward(Tensor x, Tensor past, Tensor weights, Tensor of_y) -> (Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(sequence_workbench, CPU, library) {
  library.impl("run", workbench::run);
  library.impl("run_backward", workbench::run_backward);
  library.impl("scan", workbench::run_scan);
  library.impl("scan_backward", workbench::run_scan_backward);
  library.impl("convolution", workbench::run_convolution);
  library.impl("convolution_backward", workbench::run_convolution_backward);
}
