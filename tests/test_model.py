"""The network against its equations, and alone against batched."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from linnet.model import Network, ctc_head


def network(**changes: Any) -> Network:
    torch.manual_seed(0)
    settings = {
        "features": 12,
        "tokens": 5,
        "cell": "gru",
        "layers": 2,
        "hidden": 7,
        "bidirectional": True,
        "dropout": 0.3,
    }
    return Network(**settings | changes).eval()


def sigmoid(value: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-value))


def gru_direction(inputs: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Cho et al. 2014 in the form of cuDNN: the reset gate acts after the product."""
    hidden = weights["hh"].shape[1]
    state, states = np.zeros(hidden), []
    for step in inputs:
        from_input = weights["ih"] @ step + weights["b_ih"]
        from_state = weights["hh"] @ state + weights["b_hh"]
        reset = sigmoid(from_input[:hidden] + from_state[:hidden])
        update = sigmoid(from_input[hidden : 2 * hidden] + from_state[hidden : 2 * hidden])
        candidate = np.tanh(from_input[2 * hidden :] + reset * from_state[2 * hidden :])
        state = (1 - update) * candidate + update * state
        states.append(state)
    return np.stack(states)


def numpy_log_probs(net: Network, features: np.ndarray) -> np.ndarray:
    values = {name: p.detach().double().numpy() for name, p in net.recurrent.named_parameters()}
    current = features.astype(np.float64)
    for layer in range(net.settings["layers"]):
        directions = []
        for suffix, order in (("", 1), ("_reverse", -1)):
            weights = {
                "ih": values[f"weight_ih_l{layer}{suffix}"],
                "hh": values[f"weight_hh_l{layer}{suffix}"],
                "b_ih": values[f"bias_ih_l{layer}{suffix}"],
                "b_hh": values[f"bias_hh_l{layer}{suffix}"],
            }
            directions.append(gru_direction(current[::order], weights)[::order])
        current = np.concatenate(directions, axis=1)
    logits = current @ net.head.weight.detach().double().numpy().T
    logits = logits + net.head.bias.detach().double().numpy()
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_the_gru_equals_its_equations() -> None:
    net = network()
    features = torch.randn(1, 23, 12)
    ours = net(features, torch.tensor([23]))[0].detach().numpy()
    np.testing.assert_allclose(ours, numpy_log_probs(net, features[0].numpy()), atol=1e-6)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_alone_equals_batched_with_junk_in_the_padding(cell: str, bidirectional: bool) -> None:
    net = network(cell=cell, bidirectional=bidirectional, hidden=33)
    steps = torch.tensor([31, 1, 2, 17])
    features = 5.0 * torch.randn(4, 31, 12)
    together = net(features, steps)
    for row, count in enumerate(steps.tolist()):
        alone = net(features[row : row + 1, :count], steps[row : row + 1])
        torch.testing.assert_close(together[row, :count], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_each_step_is_a_distribution(cell: str) -> None:
    log_probs: Tensor = network(cell=cell)(torch.randn(2, 9, 12), torch.tensor([9, 4]))
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(2, 9))


def test_a_gru_has_three_quarters_of_an_lstms_weights() -> None:
    gru, lstm = network(cell="gru").recurrent, network(cell="lstm").recurrent
    counts = [sum(p.numel() for p in module.parameters()) for module in (gru, lstm)]
    assert counts[0] * 4 == counts[1] * 3


def test_dropout_acts_in_training_only() -> None:
    net, features, steps = network(), torch.randn(1, 9, 12), torch.tensor([9])
    assert torch.equal(net(features, steps), net(features, steps))
    net.train()
    assert not torch.equal(net(features, steps), net(features, steps))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"cell": "qru"}, "cell='qru' must be one of gru, lstm, rnn"), ({"layers": 0}, "layers=0")],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(**changes)


def test_a_fresh_head_mostly_says_the_blank() -> None:
    head = ctc_head(7, tokens=400)
    with torch.no_grad():
        head.weight.zero_()
        head.bias[1:] = 0.0
        said = head(torch.randn(9, 7)).softmax(-1)
    torch.testing.assert_close(said[:, 0], torch.full((9,), 0.9))
