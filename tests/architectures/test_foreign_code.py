"""Values of other people's implementations beside ours, where they are installed; and where theirs are wrong, how."""

from typing import Any

import pytest
import torch

from architectures.kernels.gated_linear import stabilised_linear_attention
from tests.architectures.cases import INPUT_SIZE, Case, assert_close, make_encoder, noise


def import_or_skip(module: str, package: str) -> Any:
    return pytest.importorskip(module, reason=f"pip install {package}", exc_type=ImportError)


@pytest.mark.parametrize(("name", "foreign", "maps"), [("mingru", "minGRU", 2), ("minlstm", "minLSTM", 3)])
def test_minimal_units_of_mingru_pytorch(name: str, foreign: str, maps: int) -> None:
    """Theirs have the positive content and no biases, store n first, and scan in logarithms. Of a carried state, their
    minLSTM takes the content's function once more, so that its pieces are not its whole."""
    module = import_or_skip(f"minGRU_pytorch.{foreign}", "minGRU-pytorch")
    encoder: Any = make_encoder(Case(name=name, options={"hidden_size": 5, "content": "positive"}))
    theirs = getattr(module, foreign)(INPUT_SIZE, expansion_factor=5 / INPUT_SIZE, proj_out=False).double()
    with torch.no_grad():
        encoder.layers[0].bias.zero_()
        weight = encoder.layers[0].weight_x
        next(theirs.parameters()).copy_(torch.cat([weight[-5:], weight[:-5]]))
    x = noise(2, 30, INPUT_SIZE)
    expected = theirs(x)
    assert expected.shape == (2, 30, 5)
    assert len(next(theirs.parameters())) == 5 * maps
    assert_close(encoder(x)[0], expected, 1e-9)
    first, carried = theirs(x[:, :10], return_next_prev_hidden=True)
    rest = theirs(x[:, 10:], prev_hidden=carried)
    assert_close(first, expected[:, :10], 1e-9)
    if name == "mingru":
        assert_close(rest, expected[:, 10:], 1e-9)
    else:
        assert (rest - expected[:, 10:]).abs().max() > 0.01


def test_a_scan_in_logarithms_loses_digits() -> None:
    """That of minGRU-pytorch, in single precision over 20,000 steps: hundreds of times as many as the plain one."""
    module = import_or_skip("minGRU_pytorch.minGRU", "minGRU-pytorch")
    case, x = Case(name="mingru", options={"hidden_size": 9, "content": "positive"}), noise(1, 20_000, INPUT_SIZE)
    errors = []
    for theirs in (False, True):
        outputs = []
        for dtype in (torch.float64, torch.float32):
            encoder: Any = make_encoder(case, fresh=True, dtype=dtype)
            if theirs:
                weight = encoder.layers[0].weight_x.detach()
                encoder = module.minGRU(INPUT_SIZE, expansion_factor=9 / INPUT_SIZE, proj_out=False).to(dtype)
                next(encoder.parameters()).data.copy_(torch.cat([weight[-9:], weight[:-9]]))
            with torch.no_grad():
                y = encoder(x.to(dtype))
            outputs.append(y if theirs else y[0])
        exact, single = outputs
        errors.append(float((single - exact).abs().max() / exact.abs().max()))
    ours, of_logarithms = errors
    assert ours < 1e-6
    assert of_logarithms > 100 * ours


def test_the_slstm_of_xlstm() -> None:
    """Their step in PyTorch, with states y, c, n and m, and gates stored as [i | f | z | o]."""
    vanilla = import_or_skip("xlstm.blocks.slstm.src.vanilla.slstm", "xlstm")
    encoder: Any = make_encoder(Case(name="slstm", options={"hidden_size": 5}))
    layer, x = encoder.layers[0], noise(2, 30, INPUT_SIZE)

    def reorder(value: torch.Tensor) -> torch.Tensor:
        z, i, f, o = value.chunk(4)
        return torch.cat([i, f, z, o])

    weight_x, weight_h, bias = map(reorder, (layer.weight_x, layer.weight_h, layer.full_bias()))
    states, outputs = torch.zeros(4, 2, 5, dtype=torch.float64), []
    for t in range(30):
        states, _ = vanilla.slstm_forward_pointwise(x[:, t] @ weight_x.T, states[0] @ weight_h.T, bias, states, {})
        outputs.append(states[0])
    assert_close(encoder(x)[0], torch.stack(outputs, dim=1))


@torch.no_grad()
def test_the_mlstm_of_xlstm() -> None:
    """Their parallel form, which takes keys that are not yet divided by the root of their size, and heads before
    steps."""
    backends = import_or_skip("xlstm.blocks.mlstm.backends", "xlstm")
    q, k, v = (noise(2, 70, 3, 4, seed=seed) for seed in range(3))
    i, f = (2 * noise(2, 70, 3, seed=seed) for seed in (3, 4))
    ours = stabilised_linear_attention(q, k / 2, v, torch.nn.functional.logsigmoid(f), i).y
    heads_first = [part.transpose(1, 2) for part in (q, k, v)]
    gates = [part.transpose(1, 2).unsqueeze(3) for part in (i, f)]
    theirs = backends.parallel_stabilized_simple(*heads_first, *gates).transpose(1, 2)
    assert_close(ours, theirs, 1e-9)
