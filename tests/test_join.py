"""Joined checkpoints: several networks that answer as one, from training to a graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch

import small_model
from linnet import module, runtime, streaming
from linnet.apps import main
from linnet.export import export
from linnet.joined import JoinedNetwork
from linnet.module import Recogniser
from linnet.text import Characters

CHANNELS = {"channels": [3, 4], "strides": [2, 1]}


def network(seed: int, **changes: Any) -> Any:
    """A normalised network with convolutions, as training makes one."""
    torch.manual_seed(seed)
    settings = {
        "kind": "normalised",
        "features": 160,
        "tokens": len(small_model.TOKENIZER.tokens),
        "cell": "gru",
        "layers": 2,
        "hidden": 12 + seed,
        "bidirectional": True,
        "dropout": 0.1,
        "momentum": 0.1,
        **CHANNELS,
    }
    made = streaming.network({**settings, **changes})
    with torch.no_grad():  # outputs that are not flat, nor all blank, so that a mistake shows
        made.head.weight *= 12.0
        made.head.bias[0] = 0.0
    return made


def checkpoint(path: Path, seed: int, speakers: list[str], **front_end: Any) -> Path:
    ends = small_model.front_end(cepstra=0, **front_end)
    made = Recogniser(ends, network(seed), small_model.TOKENIZER)
    return small_model.saved(made, path, {"seed": seed, "training_speakers": speakers})


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    return [
        checkpoint(tmp_path / "a.ckpt", 0, ["ann", "bob"]),
        checkpoint(tmp_path / "b.ckpt", 1, ["bob", "cleo"]),
    ]


def joined(pair: list[Path], capsys: pytest.CaptureFixture[str]) -> Path:
    output = pair[0].parent / "together.ckpt"
    assert main(["join", *map(str, pair), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    return output


def test_posteriors_are_the_mean_and_the_record_is_that_of_both(
    pair: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    together, record = module.load(joined(pair, capsys))
    alone = [module.load(path)[0] for path in pair]
    for clip in small_model.clips(2):
        each = [np.exp(one.log_probs(clip)) for one in alone]
        assert np.abs(each[0] - each[1]).max() > 0.1
        np.testing.assert_allclose(np.exp(together.log_probs(clip)), sum(each) / 2, atol=1e-5)
    assert record["seed"] == 0
    assert [one["seed"] for one in record["joined_with"]] == [1]
    assert record["training_speakers"] == ["ann", "bob", "cleo"]


def test_what_is_joined_again_counts_as_its_parts(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    third = checkpoint(tmp_path / "c.ckpt", 2, ["dan"])
    again, record = module.load(joined([joined(pair, capsys), third], capsys))
    (clip,) = small_model.clips(1)
    each = [np.exp(module.load(path)[0].log_probs(clip)) for path in (*pair, third)]
    np.testing.assert_allclose(np.exp(again.log_probs(clip)), sum(each) / 3, atol=1e-5)
    assert record["training_speakers"] == ["ann", "bob", "cleo", "dan"]


def test_a_batch_of_all_lengths_is_the_mean_too() -> None:
    networks = [network(seed).eval() for seed in (0, 1, 2)]
    features, steps = torch.randn(3, 9, 160), torch.tensor([9, 4, 1])
    with torch.no_grad():
        found = JoinedNetwork(networks).eval()(features, steps)
        each = [one(features, steps).exp() for one in networks]
    for row, count in enumerate(steps):
        mean = sum(one[row, :count] for one in each) / 3
        torch.testing.assert_close(found[row, :count].exp(), mean)


def test_what_is_impossible_to_all_stays_a_number() -> None:
    networks = [network(seed).eval() for seed in (0, 1)]
    for one in networks:
        with torch.no_grad():
            one.head.bias[3] = -300.0
    with torch.no_grad():
        found = JoinedNetwork(networks).eval()(torch.randn(1, 5, 160), torch.tensor([5]))
    assert found.isfinite().all()
    assert float(found[..., 3].max()) < -200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported model of two joined checkpoints, behind the parity gate."""
    place = tmp_path_factory.mktemp("joined")
    pair = [checkpoint(place / f"{seed}.ckpt", seed, []) for seed in (0, 1)]
    module.join(pair, place / "together.ckpt")
    together, record = module.load(place / "together.ckpt")
    export(
        together.front_end,
        together.network,
        together.tokenizer,
        record,
        place / "model",
        small_model.clips(),
        longest_s=1.0,
        say=small_model.silent,
    )
    return place


def test_one_graph_holds_both_and_int8_weights_of_both(folder: Path) -> None:
    together, _ = module.load(folder / "together.ckpt")
    model = runtime.load(folder / "model")
    for clip in small_model.clips(2, seed=5):
        expected = together.log_probs(clip)
        np.testing.assert_allclose(model.log_probs(clip), expected, atol=1e-3)
    float_size, int8_size = (
        (folder / "model" / name).stat().st_size for name in ("model.onnx", "model.int8.onnx")
    )
    weights = together.network.weights
    assert float_size - int8_size > 2.5 * 0.8 * weights
    parity = json.loads((folder / "model" / "parity.json").read_text())
    assert set(parity["files"]) >= {"model.onnx", "model.int8.onnx", "features.onnx"}
    graph = onnxruntime.InferenceSession(folder / "model" / "features.onnx")
    assert graph.get_modelmeta().custom_metadata_map["vocab_size"] == str(
        len(small_model.TOKENIZER.tokens)
    )


def test_the_card_says_how_many_and_inspect_asks_for_one_of_them(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        "units, their posteriors averaged, trained with CTC"
        in (folder / "model" / "README.md").read_text()
    )
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, small_model.clips(1)[0], 16000)
    for subject in ("model", "together.ckpt"):
        assert main(["inspect", str(folder / subject)]) == 0
        assert "kind joined, bidirectional yes, network 1 (" in capsys.readouterr().out
        drawn = ["--audio", str(clip), "--output", str(tmp_path / "out")]
        assert main(["inspect", str(folder / subject), *drawn]) != 0
        said = capsys.readouterr().err
        assert "2 networks, joined; inspect one of the checkpoints" in said
        assert said.count("\n") == 1


def test_only_what_hears_and_spells_alike_is_joined(
    pair: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = str(pair[0])
    output = str(tmp_path / "out.ckpt")

    def refused(*named: str, to: str = output) -> str:
        assert main(["join", *named, "--output", to]) == 2
        assert not Path(output).exists()
        return capsys.readouterr().err

    other = checkpoint(tmp_path / "c.ckpt", 2, [], low_hz=40.0)
    assert "c.ckpt: its settings of the front-end differ from those of" in refused(
        first, str(other)
    )
    shifted = []
    for mean in (1.0, 2.0):
        ends = small_model.front_end(cepstra=0, normalisation="training")
        ends.set_statistics(torch.full((80,), mean), torch.ones(80))
        model = Recogniser(ends, network(0), small_model.TOKENIZER)
        shifted.append(small_model.saved(model, tmp_path / f"{mean}.ckpt", {}))
    assert "2.0.ckpt: its means and deviations of the features differ" in refused(
        *map(str, shifted)
    )
    spelt = Recogniser(small_model.front_end(cepstra=0), network(3), Characters("abcdefgh'x"))
    stranger = small_model.saved(spelt, tmp_path / "d.ckpt", {})
    assert "d.ckpt: its tokens differ" in refused(first, str(stranger))
    assert "expected at least 2 networks to join, got 1" in refused(first)
    assert "named twice" in refused(first, first)
    assert "no such checkpoint" in refused(first, str(tmp_path / "none.ckpt"))
    below_a_file = str(pair[1] / "out.ckpt")
    assert main(["join", first, str(pair[1]), "--output", below_a_file]) == 1
    said = capsys.readouterr().err
    assert "out.ckpt: the checkpoint cannot be written" in said
    assert "resume" not in said
    assert "ends in .ckpt" in refused(first, str(pair[1]), to=str(tmp_path / "folder"))


def test_networks_that_hear_in_other_directions_are_not_joined() -> None:
    with pytest.raises(ValueError, match="need the same bidirectional, got True and False"):
        JoinedNetwork([network(0), network(1, bidirectional=False)])
