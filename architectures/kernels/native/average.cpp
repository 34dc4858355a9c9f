// The recurrence of the RWA and the RDA and its gradient, as operators of PyTorch. The mathematics, with its letters, is in
// ../eager.py. The rows of a batch are divided among threads, and each runs its sequences on its own.

#include <torch/library.h>

#include "backward.h"
#include "forward.h"

namespace workbench {

Outcome average(
    const Tensor& x, const Tensor& weight_x, const Tensor& bias, const Tensor& weight_h, const Tensor& r,
    const Tensor& l, int64_t attention, bool hidden_tanh, bool output_tanh, bool keep, bool states) {
  const Options options{attention, hidden_tanh, output_tanh};
  const bool discounted = weight_h.size(1) == 3 * weight_h.size(0);
  const auto run = x.scalar_type() == at::kDouble ? (discounted ? forward<double, 3> : forward<double, 2>)
                                                  : (discounted ? forward<float, 3> : forward<float, 2>);
  return run(x, weight_x, bias, weight_h, r, l, options, keep, states);
}

Outcome average_backward(
    const Tensor& x, const Tensor& weight_x, const Tensor& weight_h, const Tensor& r, const Tensor& y,
    const Tensor& saved, const std::optional<Tensor>& grad_y, const std::optional<Tensor>& grad_r,
    const std::optional<Tensor>& grad_l, int64_t attention, bool hidden_tanh, bool output_tanh, bool wants_x) {
  const Options options{attention, hidden_tanh, output_tanh};
  const bool discounted = weight_h.size(1) == 3 * weight_h.size(0);
  const auto run = x.scalar_type() == at::kDouble ? (discounted ? backward<double, 3> : backward<double, 2>)
                                                  : (discounted ? backward<float, 3> : backward<float, 2>);
  return run(x, weight_x, weight_h, r, y, saved, grad_y, grad_r, grad_l, options, wants_x);
}

}  // namespace workbench

TORCH_LIBRARY(sequence_workbench, library) {
  library.def(
      "average(Tensor x, Tensor weight_x, Tensor bias, Tensor weight_h, Tensor r, Tensor l, int attention, bool "
      "hidden_tanh, bool output_tanh, bool keep, bool states) -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)");
  library.def(
      "average_backward(Tensor x, Tensor weight_x, Tensor weight_h, Tensor r, Tensor y, Tensor saved, Tensor? grad_y, "
      "Tensor? grad_r, Tensor? grad_l, int attention, bool hidden_tanh, bool output_tanh, bool wants_x) -> (Tensor, "
      "Tensor, Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(sequence_workbench, CPU, library) {
  library.impl("average", workbench::average);
  library.impl("average_backward", workbench::average_backward);
}
