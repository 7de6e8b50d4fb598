"""The relatives of the GRU against their papers' equations, and what is built of them."""

import numpy as np
import onnxruntime
import pytest
import torch
from jaxtyping import Float
from torch import nn

from linnet import cells, gates, streaming
from linnet.cells import Recurrent
from linnet.errors import ModelError
from linnet.export.graphs import features_graph
from linnet.model import Network
from linnet.stacked import StackedNetwork
from small_model import front_end

HIDDEN, WIDTH = 6, 5
Rows = Float[np.ndarray, "steps _width"]


def sigmoid(logit: Rows) -> Rows:
    return 1 / (1 + np.exp(-logit))


def normal(product: Rows) -> Rows:
    return (product - product.mean()) / np.sqrt(product.var() + 1e-5)


def made(cell: str, **changes: object) -> Recurrent:
    torch.manual_seed(5)
    settings = {"num_layers": 1, "bidirectional": False, "batch_first": True, "dropout": 0.0}
    recurrent = Recurrent(WIDTH, HIDDEN, cell=cell, **{**settings, **changes}).double().eval()
    with torch.no_grad():
        for parameter in recurrent.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
        for norm in recurrent.norms.values():
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)
    return recurrent


def numbers(recurrent: Recurrent, kind: str) -> np.ndarray:
    return getattr(recurrent, f"{kind}_l0").detach().numpy()


def blocks(recurrent: Recurrent, count: int) -> tuple[list[np.ndarray], ...]:
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return tuple(np.split(numbers(recurrent, kind), count) for kind in kinds)


def reset_before(recurrent: Recurrent, features: Rows) -> list[np.ndarray]:
    """Cho et al. 2014, equations 5 to 8, where their z is 1 - z."""
    w, u, b, c = blocks(recurrent, 3)
    h, states = np.zeros(HIDDEN), []
    for x in features:
        r = sigmoid(w[0] @ x + u[0] @ h + b[0] + c[0])
        z = sigmoid(w[1] @ x + u[1] @ h + b[1] + c[1])
        h = z * h + (1 - z) * np.tanh(w[2] @ x + b[2] + u[2] @ (r * h) + c[2])
        states.append(h)
    return states


def minimal(recurrent: Recurrent, features: Rows) -> list[np.ndarray]:
    """Zhou et al. 2016, equations 10 to 12."""
    w, u, b, c = blocks(recurrent, 2)
    h, states = np.zeros(HIDDEN), []
    for x in features:
        f = sigmoid(w[0] @ x + u[0] @ h + b[0] + c[0])
        h = (1 - f) * h + f * np.tanh(w[1] @ x + u[1] @ (f * h) + b[1] + c[1])
        states.append(h)
    return states


def light(recurrent: Recurrent, features: Rows) -> list[np.ndarray]:
    """Ravanelli et al. 2018, equations 10 to 12, with the statistics of the training."""
    norm = recurrent.norms["l0"]
    mean, variance = norm.running_mean.numpy(), norm.running_var.numpy()
    gain, shift = norm.weight.detach().numpy(), norm.bias.detach().numpy()
    w, u = numbers(recurrent, "weight_ih"), np.split(numbers(recurrent, "weight_hh"), 2)
    h, states = np.zeros(HIDDEN), []
    for x in features:
        a = np.split(gain * (w @ x - mean) / np.sqrt(variance + norm.eps) + shift, 2)
        z = sigmoid(a[0] + u[0] @ h)
        h = z * h + (1 - z) * np.maximum(a[1] + u[1] @ h, 0)
        states.append(h)
    return states


def layer_normalised(recurrent: Recurrent, features: Rows) -> list[np.ndarray]:
    """Ba et al. 2016, appendix, equations 25 to 29: the two gates share their statistics."""
    w, u = numbers(recurrent, "weight_ih"), numbers(recurrent, "weight_hh")
    g, k = numbers(recurrent, "gain_ih"), numbers(recurrent, "gain_hh")
    b, c = numbers(recurrent, "bias_ih"), numbers(recurrent, "bias_hh")
    two = 2 * HIDDEN
    h, states = np.zeros(HIDDEN), []
    for x in features:
        gate_logits = g[:two] * normal(w[:two] @ x) + b[:two]
        gate_logits = gate_logits + k[:two] * normal(u[:two] @ h) + c[:two]
        r, z = np.split(sigmoid(gate_logits), 2)
        read = g[two:] * normal(w[two:] @ x) + b[two:]
        past = k[two:] * normal(u[two:] @ h) + c[two:]
        h = z * h + (1 - z) * np.tanh(read + r * past)
        states.append(h)
    return states


EQUATIONS = {
    "gru_reset_before": reset_before,
    "mgu": minimal,
    "ligru": light,
    "gru_layernorm": layer_normalised,
}
VARIANTS = list(EQUATIONS)


@pytest.mark.parametrize("cell", VARIANTS)
def test_a_cell_computes_the_equations_of_its_paper(cell: str) -> None:
    recurrent = made(cell)
    features = 2 * np.random.default_rng(0).standard_normal((11, WIDTH))
    outputs, _ = recurrent(torch.from_numpy(features)[None])
    expected = np.stack(EQUATIONS[cell](recurrent, features))
    np.testing.assert_allclose(outputs[0].detach().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn", *VARIANTS])
def test_a_replay_is_what_the_network_does(cell: str) -> None:
    torch.manual_seed(3)
    network = Network(
        features=WIDTH,
        tokens=4,
        cell=cell,
        layers=2,
        hidden=HIDDEN,
        bidirectional=True,
        dropout=0.0,
    )
    network.double().eval()
    features = torch.randn(13, WIDTH, dtype=torch.float64)
    traces = gates.stack(cells.directions(network.recurrent, cell), features)
    top = torch.cat([trace.states for trace in traces[-2:]], dim=1)
    said = torch.log_softmax(network.head(top), dim=-1)
    expected = network(features[None], torch.tensor([13]))[0]
    assert (said - expected).abs().max() < 1e-12


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("cell", VARIANTS)
def test_padding_is_never_read(cell: str, training: bool) -> None:
    recurrent = made(cell, num_layers=2, bidirectional=True).train(training)
    network = Network(
        features=WIDTH,
        tokens=4,
        cell=cell,
        layers=2,
        hidden=HIDDEN,
        bidirectional=True,
        dropout=0.0,
    ).double()
    network.recurrent = recurrent
    network.train(training)
    steps = torch.tensor([9, 3, 6])
    features = torch.randn(3, 9, WIDTH, dtype=torch.float64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    clean = network(features, steps)
    junk = features.clone()
    for clip, count in enumerate(steps.tolist()):
        junk[clip, count:] = 1e3
    after = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(before)
    spoilt = network(junk, steps)
    for clip, count in enumerate(steps.tolist()):
        torch.testing.assert_close(spoilt[clip, :count], clean[clip, :count])
    # Statistics that training keeps have not seen it either.
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, after[name])


@pytest.mark.parametrize("cell", VARIANTS)
def test_a_clip_says_the_same_alone_as_among_others(cell: str) -> None:
    recurrent = made(cell, num_layers=2, bidirectional=True)
    features = torch.randn(2, 8, WIDTH, dtype=torch.float64)
    packed = nn.utils.rnn.pack_padded_sequence(
        features, torch.tensor([5, 8]), batch_first=True, enforce_sorted=False
    )
    together, _ = nn.utils.rnn.pad_packed_sequence(recurrent(packed)[0], batch_first=True)
    alone, _ = recurrent(features[:1, :5])
    torch.testing.assert_close(together[0, :5], alone[0])


@pytest.mark.parametrize("cell", VARIANTS)
def test_all_its_weights_learn(cell: str) -> None:
    recurrent = made(cell, num_layers=2, bidirectional=True).train()
    outputs, _ = recurrent(torch.randn(2, 7, WIDTH, dtype=torch.float64))
    outputs.square().sum().backward()
    for name, parameter in recurrent.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def stacked(**changes: object) -> StackedNetwork:
    torch.manual_seed(7)
    settings = {
        "features": 80,
        "tokens": 5,
        "cell": "gru",
        "layers": 3,
        "hidden": HIDDEN,
        "bidirectional": True,
        "dropout": 0.1,
        "residual": True,
        "projection": 0,
        "directions": "concatenated",
    }
    return StackedNetwork(**{**settings, **changes}).eval()


SHAPES = [
    {},
    {"directions": "summed"},
    {"projection": 9},
    {"projection": 9, "directions": "summed", "residual": False, "cell": "mgu"},
    {"bidirectional": False, "cell": "lstm"},
]


@pytest.mark.parametrize("changes", SHAPES)
def test_a_stack_is_its_layers_joined_as_the_settings_say(changes: dict[str, object]) -> None:
    network = stacked(**changes).double()
    features = torch.randn(10, 80, dtype=torch.float64)
    states = features
    for number, layer in enumerate(network.recurrent):
        outputs = layer(states[None])[0][0]
        if changes.get("directions") == "summed":
            outputs = outputs[:, :HIDDEN] + outputs[:, HIDDEN:]
        if changes.get("projection"):
            outputs = network.projections[number](outputs)
        wide_enough = states.shape == outputs.shape
        states = outputs + states if network.residual and wide_enough else outputs
    expected = torch.log_softmax(network.head(states), dim=-1)
    ragged = torch.cat([features[None], torch.full((1, 10, 80), 50.0).double()])
    said = network(ragged, torch.tensor([10, 4]))[0]
    torch.testing.assert_close(said, expected)
    traces, replayed = network.replay(features)
    torch.testing.assert_close(replayed, states)
    assert len(traces) == 3 * (2 if network.settings["bidirectional"] else 1)


def test_a_checkpoints_description_builds_the_stack_again() -> None:
    network = stacked(directions="summed", cell="ligru")
    again = streaming.network(network.settings)
    again.load_state_dict(network.state_dict())
    assert again.settings == network.settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"directions": "sum"}, "directions='sum' must be one of concatenated, summed"),
        ({"projection": -1}, "projection=-1 must be at least 1, or 0 for none"),
        ({"cell": "elman"}, "cell='elman' must be one of gru, lstm, rnn, gru_reset_before"),
    ],
)
def test_a_wrong_setting_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stacked(**changes)


EXPORTED = [
    {"cell": "gru_reset_before"},
    {"cell": "mgu"},
    {"cell": "ligru"},
    {"kind": "stacked", "cell": "gru", "residual": True, "directions": "summed"},
    {"kind": "stacked", "cell": "mgu", "projection": 12},
]


@pytest.mark.parametrize("changes", EXPORTED)
def test_a_graph_computes_what_the_variant_computes(changes: dict[str, object]) -> None:
    ends = front_end()
    torch.manual_seed(11)
    settings = {"layers": 2, "hidden": 16, "bidirectional": True, "dropout": 0.0, "tokens": 5}
    if "kind" in changes:
        settings |= {"residual": False, "projection": 0, "directions": "concatenated"}
    network = streaming.network({"features": ends.features, **settings, **changes}).eval()
    with torch.no_grad():
        network.head.weight *= 8.0
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2.0)
    graph = features_graph(ends, network, {}).SerializeToString()
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    log_mel = torch.randn(2, 41, 80) * 3
    frames = torch.tensor([41, 23])
    said = session.run(["log_probs"], {"x": log_mel.numpy(), "x_lens": frames.numpy()})[0]
    with torch.no_grad():
        features, steps = ends.from_log_mel(log_mel, frames)
        expected = network(features, steps).numpy()
    for clip, count in enumerate(steps.tolist()):
        np.testing.assert_allclose(said[clip, :count], expected[clip, :count], atol=1e-4)


def test_what_onnx_cannot_hold_is_refused_with_the_reason() -> None:
    ends = front_end()
    network = Network(
        features=ends.features,
        tokens=4,
        cell="gru_layernorm",
        layers=1,
        hidden=4,
        bidirectional=False,
        dropout=0.0,
    )
    with pytest.raises(ModelError, match="cell=gru_layernorm cannot be exported: ONNX's GRU op"):
        features_graph(ends, network, {})
