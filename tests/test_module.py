"""Checkpoints: what is saved is loaded, what could harm is refused, what fails loses nothing."""

import re
import resource
import signal
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from linnet import module
from linnet.apps import config
from linnet.errors import LinnetError, ModelError
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.module import CheckpointFile, Recogniser
from linnet.text import Characters, Phonemes, Tokenizer, Words, described

ALPHABET = "abcdefghijklmnopqrstuvwxyz'"


def make(tokens: Tokenizer | None = None) -> Recogniser:
    torch.manual_seed(3)
    tokens = tokens or Characters(ALPHABET)
    settings = dict(config.compose("train", []).frontend)
    front_end = FrontEnd(**{k: v for k, v in settings.items() if k != "_target_"})
    network = Network(
        features=front_end.features,
        tokens=len(tokens.tokens),
        cell="gru",
        layers=2,
        hidden=9,
        bidirectional=True,
        dropout=0.1,
    )
    return Recogniser(front_end, network, tokens).eval()


def content(model: Recogniser, **changes: Any) -> dict[str, Any]:
    state = {f"recogniser.{name}": value for name, value in model.state_dict().items()}
    description = {**model.description(), "record": {"seed": 0}}
    return {"state_dict": state, "linnet": description | changes}


@pytest.mark.parametrize(
    "tokens",
    [
        *(Characters(ALPHABET), Words(["left", "up"])),
        Phonemes(["l", "ɛ", "f", "t"], {"left": "lɛft"}, "en-us"),
    ],
)
def test_a_loaded_checkpoint_computes_what_was_saved(tmp_path: Path, tokens: Tokenizer) -> None:
    model = make(tokens)
    path = tmp_path / "checkpoints" / "last.ckpt"
    module.save(model, path, {"seed": 0})
    loaded, record = module.load(path)
    waveform = np.random.default_rng(0).normal(size=5000).astype(np.float32)
    np.testing.assert_array_equal(loaded.log_probs(waveform), model.log_probs(waveform))
    assert described(loaded.tokenizer) == described(tokens)
    assert record == {"seed": 0}
    assert list(path.parent.iterdir()) == [path]


def test_statistics_are_part_of_a_checkpoint(tmp_path: Path) -> None:
    model = make()
    model.front_end.set_statistics(torch.full((40,), 2.0), torch.full((40,), 3.0))
    module.save(model, tmp_path / "a.ckpt", {})
    loaded, _ = module.load(tmp_path / "a.ckpt")
    assert torch.equal(loaded.front_end.mean, torch.full((40,), 2.0))
    assert torch.equal(loaded.front_end.deviation, torch.full((40,), 3.0))


class Harmful:
    """What a pickle can do when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"linnet": Harmful(trap)}, tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match="could run code"):
        module.load(tmp_path / "a.ckpt")
    assert not trap.exists()


def test_a_checkpoint_of_another_format_is_refused(tmp_path: Path) -> None:
    torch.save(content(make(), format=99), tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match="checkpoint format 99, but this version of Linnet reads"):
        module.load(tmp_path / "a.ckpt")


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {}}, tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match="not one that linnet train wrote"):
        module.load(tmp_path / "a.ckpt")


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save(content(make()), tmp_path / "a.ckpt")
    whole = (tmp_path / "a.ckpt").read_bytes()
    for name, damaged in (("cut", whole[:5000]), ("empty", b""), ("text", b"hello " * 100)):
        path = tmp_path / f"{name}.ckpt"
        path.write_bytes(damaged)
        with pytest.raises(ModelError, match=re.escape(str(path))) as caught:
            module.load(path)
        assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    saved = content(make())
    saved["state_dict"].pop("recogniser.network.head.bias")
    torch.save(saved, tmp_path / "a.ckpt")
    with pytest.raises(ModelError, match=r"head\.bias"):
        module.load(tmp_path / "a.ckpt")


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.ckpt: there is no such checkpoint"):
        module.load(tmp_path / "none.ckpt")


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_keeps_the_last_checkpoint(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "last.ckpt"
    CheckpointFile().save_checkpoint(content(make()), path)
    before = path.read_bytes()
    request.getfixturevalue("full_disk")
    with pytest.raises(LinnetError, match=r"could not save the checkpoint.*resume=true"):
        CheckpointFile().save_checkpoint(content(make()), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class CtrlC:
    """Interrupts whoever saves it, in the middle of the file."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        signal.raise_signal(signal.SIGINT)
        return OrderedDict, ()


@pytest.fixture
def ctrl_c_is_heard() -> Iterator[None]:
    """A terminal's Ctrl-C raises KeyboardInterrupt, though a job in the background ignores it."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.mark.usefixtures("ctrl_c_is_heard")
def test_ctrl_c_while_a_checkpoint_is_saved_waits_for_its_end(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    with pytest.raises(KeyboardInterrupt):
        CheckpointFile().save_checkpoint(content(make()) | {"more": CtrlC()}, path)
    assert list(tmp_path.iterdir()) == [path]
    module.load(path)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_checkpoint_is_saved_from_any_thread(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    with ThreadPoolExecutor(1) as pool:
        pool.submit(CheckpointFile().save_checkpoint, content(make()), path).result()
    module.load(path)
