"""The replay against torch's own layers and against exported graphs; time scales; the reach."""

import numpy as np
import onnx
import pytest
import torch
from onnx import helper, numpy_helper
from torch import nn

from linnet import gates
from linnet.errors import ModelError
from linnet.export.graphs import waveform_graph
from linnet.frontend import FrontEnd
from linnet.gates.graph import Graph
from small_model import clips, front_end, network

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


@pytest.fixture(scope="module")
def made() -> FrontEnd:
    return front_end()


def graph_of(made: FrontEnd, **changes: str) -> onnx.ModelProto:
    return waveform_graph(made, network(made.features, **changes), {})


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_a_replay_from_weights_equals_torchs_own_layers(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(1)
    layers = CELLS[cell](7, 12, num_layers=3, bidirectional=bidirectional).double()
    features = 2 * torch.randn(37, 7, dtype=torch.float64)
    expected = layers(features)[0]
    traces = gates.stack(gates.plain(cell, layers.state_dict()), features)
    assert len(traces) == (6 if bidirectional else 3)
    top = torch.cat([trace.states for trace in traces if trace.direction.layer == 2], dim=1)
    assert (top - expected).abs().max() < 1e-6


def test_gradients_flow_through_a_replay_as_through_torchs_layers() -> None:
    torch.manual_seed(2)
    layers = nn.GRU(5, 9, num_layers=2, bidirectional=True).double()
    features = torch.randn(21, 5, dtype=torch.float64)
    directions = gates.plain("gru", layers.state_dict())

    def replayed(given: torch.Tensor) -> torch.Tensor:
        own = [trace.states for trace in gates.stack(directions, given)[-2:]]
        return torch.cat(own, dim=1)

    ours = gates.reach(replayed, features, [(20, 3), (12, 0)])
    theirs = gates.reach(lambda given: layers(given)[0], features, [(20, 3), (12, 0)])
    np.testing.assert_allclose(ours.past, theirs.past, rtol=1e-9)
    np.testing.assert_allclose(ours.future, theirs.future, rtol=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_an_exported_graph_replays_to_its_own_states_and_to_its_checkpoints(
    made: FrontEnd, cell: str
) -> None:
    graph = Graph(graph_of(made, cell=cell).SerializeToString(), cell, "exported")
    waveform = clips()[1]
    replayed = graph.replay(waveform)
    assert replayed.difference < 1e-5  # The graph computes in float32.

    model = network(made.features, cell=cell).double()
    features, _ = made(torch.from_numpy(waveform)[None], torch.tensor([len(waveform)]))
    expected = gates.stack(gates.plain(cell, model.recurrent.state_dict()), features[0].double())
    for ours, theirs in zip(replayed.traces, expected, strict=True):
        assert ours.direction.name == theirs.direction.name
        assert list(ours.gates) == list(theirs.gates)
        assert (ours.states - theirs.states).abs().max() < 1e-4  # The features differ by as much.
    weight, bias = graph.head()
    np.testing.assert_array_equal(weight, model.head.weight.detach().float().numpy().T)
    np.testing.assert_array_equal(bias, model.head.bias.detach().float().numpy())


def test_weights_kept_as_int8_are_unfolded(made: FrontEnd) -> None:
    model = graph_of(made)
    whole = Graph(model.SerializeToString(), "gru", "whole")
    constant = next(c for c in model.graph.initializer if c.name.endswith("state_weight"))
    values = numpy_helper.to_array(constant)
    scale = np.abs(values).max(axis=2, keepdims=True) / 127
    small = np.round(values / scale).astype(np.int8)
    name = constant.name
    model.graph.initializer.remove(constant)
    model.graph.initializer.append(numpy_helper.from_array(small, f"{name}_int8"))
    model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
    model.graph.node.insert(0, helper.make_node("Cast", [f"{name}_int8"], [f"{name}_wide"], to=1))
    model.graph.node.insert(1, helper.make_node("Mul", [f"{name}_wide", f"{name}_scale"], [name]))
    folded = Graph(model.SerializeToString(), "gru", "folded")
    for ours, theirs in zip(folded.directions, whole.directions, strict=True):
        difference = (ours.weights.state_weight - theirs.weights.state_weight).abs().max()
        assert difference <= scale.max() / 2 + 1e-7
    assert folded.replay(clips()[0]).difference < 1e-5


def test_a_graph_without_weights_is_refused_in_a_line(made: FrontEnd) -> None:
    model = graph_of(made)
    constant = next(c for c in model.graph.initializer if c.name.endswith("state_weight"))
    model.graph.initializer.remove(constant)
    given = helper.make_tensor_value_info(constant.name, onnx.TensorProto.FLOAT, constant.dims)
    model.graph.input.append(given)
    with pytest.raises(ModelError, match="holds no weights for 'layer_0/forward/state_weight'"):
        Graph(model.SerializeToString(), "gru", "bare")


def test_what_is_no_graph_or_has_no_recurrent_layer_is_refused() -> None:
    with pytest.raises(ModelError, match="no readable ONNX graph"):
        Graph(b"RIFF....", "gru", "clip.wav")
    same = helper.make_node("Identity", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N"]) for n in "xy"]
    plain = helper.make_model(helper.make_graph([same], "plain", ends[:1], ends[1:]))
    with pytest.raises(ModelError, match="no recurrent layers"):
        Graph(plain.SerializeToString(), "gru", "plain.onnx")


def test_weights_of_another_cell_are_refused() -> None:
    with pytest.raises(ModelError, match="have 48 rows; a gru of 12 units has 36"):
        gates.plain("gru", nn.LSTM(3, 12).state_dict())
    with pytest.raises(ModelError, match="no weights of recurrent layers"):
        gates.plain("gru", {})


@pytest.mark.parametrize("logit", [-800.0, -3.0, 0.0, 2.5, 36.0, 41.0, 600.0])
def test_a_gate_that_stands_still_has_the_time_scale_of_its_exponential(logit: float) -> None:
    """The rule is tau = -step / ln z; where z rounds to 0 or 1, its limits hold."""
    (tau_s,) = gates.time_scales_s([torch.full((5, 1), logit, dtype=torch.float64)], 0.03)
    if logit < -36:
        log_z = logit
    elif logit > 36:
        log_z = -np.exp(-logit)
    else:
        log_z = -np.log1p(np.exp(-logit))
    assert tau_s == pytest.approx(-0.03 / log_z, rel=1e-9)


def test_a_step_whose_gate_is_1_to_the_last_bit_still_counts_in_the_average() -> None:
    logits = torch.tensor([[800.0], [0.0]], dtype=torch.float64)
    (tau_s,) = gates.time_scales_s([logits], 0.03)
    assert tau_s == pytest.approx(0.03 * np.exp((800 - np.log(np.log(2))) / 2))


def test_time_scales_are_averaged_in_the_logarithm_over_clips_of_any_length() -> None:
    z = np.array([0.9, 0.5, 0.99])
    logits = torch.from_numpy(np.log(z / (1 - z)))[:, None]
    (tau_s,) = gates.time_scales_s([logits[:1], logits[1:]], 0.01)
    assert tau_s == pytest.approx(np.exp(np.mean(np.log(-0.01 / np.log(z)))))


def test_a_unit_that_carries_keeps_its_state_and_one_that_is_overwritten_takes_the_candidate() -> (
    None
):
    layers = nn.GRU(2, 2).double()
    with torch.no_grad():
        layers.bias_ih_l0[2], layers.bias_ih_l0[3] = 60.0, -60.0  # The update gates of both units.
    features = torch.randn(9, 2, dtype=torch.float64)
    (trace,) = gates.stack(gates.plain("gru", layers.state_dict()), features)
    assert trace.states[:, 0].abs().max() < 1e-12
    torch.testing.assert_close(trace.states[:, 1], trace.gates["candidate"][:, 1])
    np.testing.assert_array_equal(gates.overwritten(trace), np.full(9, 0.5))
    assert gates.openness(trace)["update"] == pytest.approx(np.full(9, 0.5))


def test_an_elman_layer_has_no_gates_and_overwrites_everything() -> None:
    layers = nn.RNN(2, 3).double()
    (trace,) = gates.stack(gates.plain("rnn", layers.state_dict()), torch.randn(4, 2).double())
    assert not trace.gates
    assert trace.carried is None
    np.testing.assert_array_equal(gates.overwritten(trace), np.ones(4))


def test_the_unit_that_rises_at_a_token_answers_to_it() -> None:
    marked = gates.labels([(2, 3, 5), (1, 7, 7)], 10)
    np.testing.assert_array_equal(marked, [0, 0, 0, 2, 2, 0, 0, 1, 0, 0])
    states = np.zeros((10, 2))
    states[3:5, 1] = 1.0
    found = gates.answers(states, marked)
    assert set(found) == {1, 2}
    assert found[2][1] == pytest.approx(1.0 / states[:, 1].std())
    assert found[2][0] == 0.0


def test_the_gradient_of_a_leaky_sum_falls_as_its_leak_says() -> None:
    def leaky(features: torch.Tensor) -> torch.Tensor:
        state, states = torch.zeros(1, dtype=torch.float64), []
        for step in features:
            state = 0.8 * state + step
            states.append(state)
        return torch.stack(states)

    found = gates.reach(leaky, torch.randn(40, 1, dtype=torch.float64), [(39, 0), (30, 0)])
    np.testing.assert_allclose(found.past, 0.8 ** np.arange(40), rtol=1e-9)
    np.testing.assert_array_equal(found.future[1:], 0.0)
    assert found.steps() == (21, 1)  # 0.8 ** 20 is the last above 0.01.
    lags, curve = found.line()
    np.testing.assert_array_equal(lags, np.arange(-39, 1))
    np.testing.assert_allclose(curve, 0.8 ** np.abs(lags), rtol=1e-9)


def test_answers_are_looked_at_where_tokens_were_heard_and_evenly_between() -> None:
    log_probs = np.log(np.full((12, 3), 1 / 3))
    log_probs[4, 2] = 0.0
    assert gates.targets(log_probs, [(2, 3, 6)], 3) == [(0, 0), (4, 2), (6, 0), (11, 0)]
