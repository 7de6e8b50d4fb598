"""The fused GRU: the same outputs and gradients as nn.GRU, wherever it is used."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from linnet import kernel
from linnet.kernel import building

pytestmark = pytest.mark.skipif(
    building.problem() is not None, reason=f"no fused operator here: {building.problem()}"
)


def answers(
    layer: nn.GRU, features: Tensor, steps: Tensor, weights: Tensor, choice: str
) -> tuple[Tensor, dict[str, Tensor]]:
    """Give outputs and all gradients, those of the features among them."""
    features = features.clone().requires_grad_()
    layer.zero_grad()
    outputs = kernel.run(layer, features, steps, kernel=choice)
    (outputs * weights).sum().backward()
    gradients = {name: value.grad.clone() for name, value in layer.named_parameters()}
    return outputs.detach(), {**gradients, "features": features.grad.clone()}


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(1, 40),
    hidden=st.sampled_from([1, 15, 16, 33, 64]),
    layers=st.integers(1, 3),
    both=st.booleans(),
    lengths=st.lists(st.integers(1, 23), min_size=1, max_size=19),
    seed=st.integers(0, 1000),
)
def test_fused_equals_nn_gru_for_ragged_clips_of_any_size(
    width: int, hidden: int, layers: int, both: bool, lengths: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    layer = nn.GRU(width, hidden, layers, bidirectional=both, batch_first=True)
    steps = torch.tensor(lengths)
    features = torch.randn(len(lengths), max(lengths) + 2, width)
    weights = torch.randn(len(lengths), max(lengths) + 2, hidden * (2 if both else 1))
    theirs, their_gradients = answers(layer, features, steps, weights, "torch")
    ours, our_gradients = answers(layer, features, steps, weights, "fused")
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    for name, expected in their_gradients.items():
        scale = max(1.0, float(expected.abs().max()))
        error = (our_gradients[name] - expected).abs().max()
        assert error <= 1e-5 * scale, name


def test_what_stands_in_the_padding_changes_no_weight() -> None:
    layer = nn.GRU(6, 16, 2, bidirectional=True, batch_first=True)
    steps, weights = torch.tensor([7, 3]), torch.randn(2, 7, 32)
    clean = torch.randn(2, 7, 6)
    junk = clean.clone()
    junk[1, 3:] = 1e6
    for one, other in zip(
        answers(layer, clean, steps, weights, "fused")[1].values(),
        answers(layer, junk, steps, weights, "fused")[1].values(),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_the_number_of_threads_changes_nothing() -> None:
    layer = nn.GRU(8, 32, 2, bidirectional=True, batch_first=True)
    features, steps = torch.randn(33, 21, 8), torch.randint(1, 22, (33,))
    weights, threads = torch.randn(33, 21, 64), torch.get_num_threads()
    found = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found.append(answers(layer, features, steps, weights, "fused")[0])
    finally:
        torch.set_num_threads(threads)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_dropout_falls_between_the_layers_as_in_nn_gru() -> None:
    layer = nn.GRU(4, 16, 2, dropout=0.5, batch_first=True)
    features, steps = torch.randn(3, 9, 4), torch.tensor([9, 9, 9])
    first = nn.GRU(4, 16, 1, batch_first=True)
    first.load_state_dict({k: v for k, v in layer.state_dict().items() if k.endswith("l0")})
    torch.manual_seed(1)
    drawn = kernel.run(layer, features, steps, kernel="fused")
    assert not torch.equal(drawn, kernel.run(layer, features, steps, kernel="fused"))
    layer.eval()
    torch.testing.assert_close(
        kernel.run(layer, features, steps, kernel="fused"), layer(features)[0]
    )
    second = nn.GRU(16, 16, 1, batch_first=True)
    renamed = {k.replace("l1", "l0"): v for k, v in layer.state_dict().items() if k.endswith("l1")}
    second.load_state_dict(renamed)
    torch.manual_seed(1)
    states = first(features)[0].transpose(0, 1).contiguous()  # the mask is drawn in this order
    expected = second(torch.dropout(states, 0.5, True).transpose(0, 1))[0]
    torch.testing.assert_close(drawn, expected, rtol=0, atol=1e-6)


def test_not_a_number_stays_one() -> None:
    layer = nn.GRU(4, 16, batch_first=True)
    features = torch.randn(2, 5, 4)
    features[1, 2, 0] = torch.nan
    outputs = kernel.run(layer, features, torch.tensor([5, 5]), kernel="fused")
    assert outputs[0].isfinite().all()
    assert outputs[1, 2:].isnan().all()


def test_lstm_double_precision_and_inference_take_torchs_own_way() -> None:
    features = torch.randn(2, 3, 4)
    assert kernel.fusible(nn.GRU(4, 5, batch_first=True), features)
    assert not kernel.fusible(nn.LSTM(4, 5, batch_first=True), features)
    assert not kernel.fusible(nn.GRU(4, 5, batch_first=True).double(), features)
    layer = nn.GRU(4, 5, batch_first=True)
    with torch.no_grad():
        found = kernel.run(layer, features, torch.tensor([3, 3]), kernel="auto")
        torch.testing.assert_close(found, layer(features)[0], rtol=0, atol=0)


def test_without_a_compiler_nn_gru_trains_and_says_so_once(tmp_path: Path) -> None:
    program = (
        "import torch\nfrom linnet import kernel\n"
        "layer = torch.nn.GRU(4, 5, batch_first=True)\nfeatures = torch.randn(2, 3, 4)\n"
        "steps = torch.tensor([3, 3])\n"
        "for _ in range(2):\n"
        "    found = kernel.run(layer, features, steps, kernel='auto')\n"
        "assert torch.equal(found, layer(features)[0])\n"
        "try:\n    kernel.run(layer, features, steps, kernel='fused')\n"
        "except ValueError as error:\n    print(error)\n"
    )
    environment = {
        "PATH": str(tmp_path),
        "CXX": str(tmp_path / "no-compiler"),
        "TORCH_EXTENSIONS_DIR": str(tmp_path / "kept"),
    }
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stderr.count("nn.GRU trains instead") == 1
    assert "kernel=fused cannot be built" in run.stdout
    assert "take kernel=auto" in run.stdout
