"""sherpa-onnx loads the graphs unchanged and hears in real recordings what Linnet hears.

Every recogniser runs in a process of its own (``sherpa_host``). The networks have random weights:
that two programs agree on what such a network says of speech is harder than on a trained one.
"""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import kaldifst
import numpy as np
import pytest
import soundfile
import torch
from jaxtyping import Float32

from linnet import audio
from linnet.decode import Hypothesis, greedy
from linnet.errors import ConfigError
from linnet.export import Contents, dressing, export, grammar, int8
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.runtime import load
from linnet.streaming import network as build_network
from linnet.text import SPACE, Phonemes, Words
from small_model import RECORD, TOKENIZER, clips, front_end, network, silent

HOST = Path(__file__).with_name("sherpa_host.py")
OLDER = "1.13.4"
SILENCE_S = 1.0
WORDS = ("happy", "zero", "one", "left")
# What the tokens of the small model spell, as if they were commands.
COMMANDS = ["a bad head", "bead", "feed", "cabbage"]


@pytest.fixture(scope="module")
def files(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Real recordings as WAV files of 16 bits, the form that a host reads."""
    folder = tmp_path_factory.mktemp("wav")
    words = recordings / "speech_commands_subset"
    chosen = [path for word in WORDS for path in sorted((words / word).glob("*"))[:3]]
    for path in chosen:
        name = folder / f"{path.parent.name}_{path.stem}.wav"
        soundfile.write(name, audio.read(path), 16000, subtype="PCM_16")
    return sorted(map(str, folder.iterdir()))


@pytest.fixture(scope="module", params=["current", pytest.param(OLDER, marks=pytest.mark.slow)])
def python(request: pytest.FixtureRequest) -> str:
    """A Python with some version of sherpa-onnx."""
    if request.param == "current":
        return sys.executable
    folder = request.config.cache.mkdir(f"sherpa-onnx-{request.param}")
    made = folder / "bin" / "python"
    known = [str(made), "-c", "import sherpa_onnx"]
    if not made.exists() or subprocess.run(known, check=False, capture_output=True).returncode:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(made), "-m", "pip", "install", "--quiet", "numpy"]
        done = subprocess.run(
            [*install, f"sherpa-onnx=={request.param}"], check=False, capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"sherpa-onnx {request.param} cannot be installed: {done.stderr[-200:]}")
    return str(made)


def made(path: Path, front: FrontEnd, net: Network, **contents: Any) -> Path:
    parts = (front, net, TOKENIZER, RECORD, path, clips())
    export(*parts, contents=Contents(**contents), longest_s=0.5, say=silent)
    return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bidirectional model with steps of 20 ms."""
    front = front_end(stack=2)
    return made(tmp_path_factory.mktemp("whole") / "model", front, network(front.features))


@pytest.fixture(scope="module")
def dressed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bidirectional model with steps of 40 ms, as a transducer too, and with commands."""
    front = front_end(stack=4)
    folder = tmp_path_factory.mktemp("dressed") / "model"
    return made(folder, front, network(front.features), transducer=True, commands=COMMANDS)


def streaming_parts() -> tuple[FrontEnd, Network]:
    front = front_end(normalisation="training", normalise_waveform=False, stack=4)
    # Statistics of sound, so that what the network says changes with it.
    heard = clips()[0]
    log_mel = front.log_mel(torch.from_numpy(heard)[None], torch.tensor([len(heard)]))[0]
    cepstra = log_mel @ front.dct
    front.set_statistics(cepstra.mean(0), cepstra.std(0))
    settings = {
        "kind": "lookahead",
        "lookahead": 3,
        "history": 0,
        "cell": "gru",
        "layers": 2,
        "hidden": 24,
    }
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = build_network(
            {**settings, "features": front.features, "tokens": 12, "dropout": 0.1}
        ).eval()
        # Torch's own start says more than the one that training wants.
        torch.manual_seed(3)
        for part in net.children():
            if hasattr(part, "reset_parameters"):
                part.reset_parameters()
    with torch.no_grad():
        net.head.weight *= 12.0
    return front, net


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that streams, with steps of 40 ms."""
    return made(tmp_path_factory.mktemp("streaming") / "model", *streaming_parts(), transducer=True)


def ask(python: str, **request: Any) -> list[Any]:
    answered = subprocess.run(
        [python, str(HOST)], input=json.dumps(request), capture_output=True, text=True, check=False
    )
    assert answered.returncode == 0, answered.stderr[-2000:]
    # The host's own library prints there as well.
    found = json.loads(answered.stdout[answered.stdout.index('{"version"') :])
    assert (found["version"] == OLDER) == (python != sys.executable)
    return found["answers"]


def symbols(ids: Sequence[int]) -> list[str]:
    return [TOKENIZER.tokens[i].replace(SPACE, " ") for i in ids]


def transducer(folder: Path, encoder: str = "encoder.onnx") -> dict[str, str]:
    names = {"encoder": encoder, "decoder": "decoder.onnx", "joiner": "joiner.onnx"}
    return {key: str(folder / "transducer" / name) for key, name in names.items()} | {
        "tokens": str(folder / "transducer" / "tokens.txt")
    }


def of_log_mel(front: FrontEnd, net: Network, waveform: Float32[np.ndarray, " n"]) -> np.ndarray:
    """Give the log-probabilities of a host's log-mel: of the waveform as it is."""
    samples = torch.tensor([len(waveform)])
    with torch.no_grad():
        log_mel = front.log_mel(torch.from_numpy(waveform)[None], samples)
        return net(*front.from_log_mel(log_mel, front.frames(samples)))[0].numpy()


def as_transducer(log_probs: np.ndarray) -> Hypothesis:
    """Decode by the formula of the joiner: at most one token a step, each once."""
    ids, starts, last, before = [], [], 0, np.full(log_probs.shape[1], -20.0)
    for step, now in enumerate(log_probs):
        best = int(dressing.joined(np.concatenate([now, before]), last).argmax())
        if best:
            ids.append(best)
            starts.append(step)
            last = best
        before = now
    ones, ends = tuple(1.0 for _ in ids), tuple(start + 1 for start in starts)
    return Hypothesis(tuple(ids), tuple(starts), ends, ones, 0.0, len(log_probs))


def agree(answers: list[Any], expected: list[Hypothesis], step_s: float, late: int = 0) -> None:
    for answer, heard in zip(answers, expected, strict=True):
        assert answer["tokens"] == symbols(heard.ids)
        times = [(start + late) * step_s for start in heard.starts]
        assert np.abs(np.array(answer["times"]) - times).max(initial=0) <= step_s + 1e-4
    assert sum(len(heard.ids) for heard in expected) > 5 * len(expected)


@pytest.mark.parametrize(("file", "batch"), [("model.onnx", False), ("model.int8.onnx", True)])
def test_the_waveform_graph_gives_linnets_tokens_and_times(
    whole: Path, python: str, files: list[str], file: str, batch: bool
) -> None:
    arguments = {"model": str(whole / file), "tokens": str(whole / "tokens.txt")}
    loader = "from_omnilingual_asr_ctc"
    answers = ask(
        python, host="offline", loader=loader, arguments=arguments, files=files, batch=batch
    )
    model = load(whole / file)
    expected = [greedy(model.log_probs(audio.read(path))) for path in files]
    agree(answers, expected, step_s=0.02)


def test_clips_without_sound_do_no_harm(whole: Path, python: str, tmp_path: Path) -> None:
    lengths = {"sample": 1, "short": 399, "silence": 16000}
    if python == sys.executable:
        lengths["empty"] = 0  # the older one divides by the samples before it asks the graph
    for name, samples in lengths.items():
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(samples), 16000, subtype="PCM_16")
    arguments = {"model": str(whole / "model.onnx"), "tokens": str(whole / "tokens.txt")}
    paths = [str(tmp_path / f"{name}.wav") for name in lengths]
    loader = "from_omnilingual_asr_ctc"
    answers = ask(python, host="offline", loader=loader, arguments=arguments, files=paths)
    assert len(answers) == len(lengths)


@pytest.mark.parametrize(
    ("dress", "batch"),
    [("features.onnx", True), ("features.int8.onnx", False), ("transducer", True)],
)
def test_the_features_graph_gives_linnets_tokens_and_times(
    dressed: Path, python: str, files: list[str], dress: str, batch: bool
) -> None:
    loader, arguments = "from_transducer", transducer(dressed)
    if dress != "transducer":
        loader = "from_zipformer_ctc"
        arguments = {"model": str(dressed / dress), "tokens": str(dressed / "tokens.txt")}
    answers = ask(
        python, host="offline", loader=loader, arguments=arguments, files=files, batch=batch
    )
    front = front_end(stack=4)
    net = network(front.features)
    net = int8.rounded_network(net) if int8.is_int8(dress) else net
    decode = as_transducer if dress == "transducer" else greedy
    expected = [decode(of_log_mel(front, net, audio.read(path))) for path in files]
    agree(answers, expected, step_s=0.04)


def streamed(
    files: list[str], decode: Callable[[np.ndarray], Hypothesis] = greedy
) -> list[Hypothesis]:
    """Decode what a host hears: whole pieces of 32 frames, and one more must have come."""
    front, net = streaming_parts()
    heard = []
    for path in files:
        silence = np.zeros(round(16000 * SILENCE_S), np.float32)
        waveform = np.append(audio.read(path), silence)
        pieces = (front.frames(len(waveform)) - 1) // 32
        heard.append(decode(of_log_mel(front, net, waveform)[: pieces * 8 - 3]))
    return heard


@pytest.mark.parametrize("loader", ["from_zipformer2_ctc", "from_transducer"])
def test_a_stream_gives_linnets_tokens_and_times(
    streaming: Path, python: str, files: list[str], loader: str
) -> None:
    arguments = transducer(streaming, "stream_encoder.onnx")
    if loader == "from_zipformer2_ctc":
        names = {"model": "stream.onnx", "tokens": "tokens.txt"}
        arguments = {key: str(streaming / name) for key, name in names.items()}
    answers = ask(
        python,
        host="online",
        loader=loader,
        arguments=arguments | {"num_threads": 1},
        files=files,
        silence_s=SILENCE_S,
    )
    decode = as_transducer if loader == "from_transducer" else greedy
    agree(answers, streamed(files, decode), step_s=0.04, late=3)


def test_the_keyword_spotter_finds_what_the_stream_says(
    streaming: Path, python: str, files: list[str], tmp_path: Path
) -> None:
    sayings = [symbols(heard.ids[2:6]) for heard in streamed(files, as_transducer)]
    wanted = next(saying for saying in sayings if " " not in saying)
    (tmp_path / "keywords.txt").write_text(f"{' '.join(wanted)} @FOUND\n", encoding="utf-8")
    settings = {
        "keywords_file": str(tmp_path / "keywords.txt"),
        "keywords_score": 2.0,
        "keywords_threshold": 0.2,
        "num_trailing_blanks": 0,
        "num_threads": 1,
    }
    arguments = transducer(streaming, "stream_encoder.onnx") | settings
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, np.zeros(16000), 16000, subtype="PCM_16")
    said = files[sayings.index(wanted)]
    asked = {"host": "keywords", "arguments": arguments, "silence_s": SILENCE_S}
    there, elsewhere = ask(python, files=[said, str(silence)], **asked)
    assert "FOUND" in there
    assert not elsewhere


def test_only_commands_are_heard_with_their_grammar(
    dressed: Path, files: list[str], python: str
) -> None:
    if python != sys.executable:
        pytest.skip(f"sherpa-onnx {OLDER} gives recognisers of recordings no grammar")
    arguments = {name: str(dressed / f"{name}.txt") for name in ("tokens",)}
    arguments |= {"model": str(dressed / "features.onnx"), "ctc_graph": str(dressed / "HL.fst")}
    loader = "from_zipformer_ctc"
    answers = ask(python, host="offline", loader=loader, arguments=arguments, files=files)
    said = [answer["text"].strip() for answer in answers]
    assert any(said)
    for text in said:
        rest = text
        while rest:
            command = next((c for c in COMMANDS if rest.startswith(c)), None)
            assert command is not None, text
            rest = rest[len(command) :].strip()


def test_hot_words_in_the_files_form_are_taken(
    dressed: Path, files: list[str], python: str
) -> None:
    hot = {"hotwords_file": str(dressed / "transducer" / "hotwords.txt"), "hotwords_score": 3.0}
    search = {"decoding_method": "modified_beam_search", "modeling_unit": "cjkchar"}
    asked = {"host": "offline", "loader": "from_transducer", "files": files}
    plain, helped = (
        ask(python, arguments=transducer(dressed) | search | more, **asked) for more in ({}, hot)
    )
    assert plain != helped


def test_a_broken_contract_ends_the_process_that_asked_and_no_other(
    whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    arguments = {"model": str(tmp_path / "model.onnx"), "tokens": str(whole / "tokens.txt")}
    request = {"host": "offline", "loader": "from_zipformer_ctc", "arguments": arguments}
    answered = subprocess.run(
        [sys.executable, str(HOST)],
        input=json.dumps({**request, "files": []}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answered.returncode != 0


# The grammar itself, against its definition.


def collapsed(labels: Sequence[int]) -> tuple[int, ...]:
    return tuple(label for label, _ in itertools.groupby(labels) if label != 0)


def accepts(path: Path, labels: Sequence[int]) -> bool:
    """Walk the transducer; its labels are ids plus 1."""
    graph = kaldifst.StdVectorFst.read(str(path))
    states = {graph.start}
    for label in labels:
        states = {
            arc.nextstate
            for state in states
            for arc in kaldifst.ArcIterator(graph, state)
            if arc.ilabel == label + 1
        }
    return any(graph.final(state).value != float("inf") for state in states)


@pytest.mark.parametrize(
    ("tokenizer", "commands", "separator"),
    [
        (Words(["yes", "no"]), ["yes", "no"], []),
        (Words(["yes", "no"]), ["yes no"], []),
        (TOKENIZER, ["aa", "ab"], [1]),
        (Phonemes(["aɪ", "t"], {"tie": "taɪ", "eye": "aɪ"}, "en-us"), ["tie", "eye"], [1]),
    ],
    ids=["words", "phrase", "characters", "phonemes"],
)
def test_the_grammar_takes_every_way_to_say_commands_and_no_other(
    tokenizer: Any, commands: list[str], separator: list[int], tmp_path: Path
) -> None:
    grammar.write(commands, tokenizer, tmp_path / "HL.fst")
    spelt = [tokenizer.encode(command) for command in commands]
    sayings: set[tuple[int, ...]] = {()}
    for count in (1, 2, 3, 4):
        for chosen in itertools.product(spelt, repeat=count):
            joined = [token for one in chosen for token in [*separator, *one]]
            sayings.add(tuple(joined[len(separator) :]))
    tokens = [0, *sorted({i for ids in spelt for i in ids} | set(separator))]
    for labels in itertools.product(tokens, repeat=5):
        said = collapsed(labels)
        expected = said in sayings
        # Between two words of a closed vocabulary a blank must stand.
        if not separator and len(said) > len(spelt[0]):
            continue
        assert accepts(tmp_path / "HL.fst", labels) == expected, labels


def test_commands_that_cannot_be_spelt_are_named(tmp_path: Path) -> None:
    for commands, message in (
        (["bead", "Bead!"], r"holds 'Bead!' twice; name each command once"),
        (["?"], r"holds '\?', which holds no word"),
        (["stop"], r"commands: the text 'stop' holds 'o', 'p', 's', 't'"),
    ):
        with pytest.raises(ConfigError, match=message):
            made(tmp_path / "model", front_end(), network(80), commands=commands)
    assert not list(tmp_path.iterdir())
