"""What rounding the weights does to the answers: the texts of both graphs, side by side.

    recordings -> model.onnx      -> text -+-> how many are the same, how the error rate changes
               -> model.int8.onnx -> text -+

A graph whose weights are rounded gives other log-probabilities, and must. What it may not do is
read something else: the gate lets it through if at least 99 of 100 texts are the same. A model for
keywords was taught to tell other speech from them, not to write it down, so of its texts only the
words of its keywords are compared.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import onnx
import onnxruntime

from linnet import metrics
from linnet.decode import greedy
from linnet.errors import ParityError
from linnet.evaluation import Utterance
from linnet.export.int8 import int8_name
from linnet.export.shapes import Waveform
from linnet.runtime import WAVEFORM_GRAPH, session
from linnet.text import Tokenizer, normalise

LEAST_SAME = 0.99
_OTHERS_NAMED = 3


def check(
    graphs: Mapping[str, onnx.ModelProto],
    tokenizer: Tokenizer,
    utterances: Sequence[Utterance],
    say: Callable[[str], None],
    keywords: Sequence[str] = (),
) -> dict[str, object]:
    """Let both graphs read ``utterances`` and give what ``parity.json`` says about it.

    Args:
        graphs: by file name, the waveform graph and its int8 form among them.
        tokenizer: of both.
        utterances: real recordings; the error rate counts those that have a text.
        say: takes a line of progress.
        keywords: what the model is for; none, all that is said.

    Raises:
        ParityError: too many texts differ.
    """
    if not utterances:
        return {"recordings": 0}
    named = {word for keyword in keywords for word in normalise(keyword).split()}
    ours, rounded = (
        [_named(named, _text(graph, tokenizer, one.waveform)) for one in utterances]
        for graph in (_opened(graphs, WAVEFORM_GRAPH), _opened(graphs, int8_name(WAVEFORM_GRAPH)))
    )
    others = [
        (one.id, text, other)
        for one, text, other in zip(utterances, ours, rounded, strict=True)
        if text != other
    ]
    same = 1 - len(others) / len(utterances)
    if same < LEAST_SAME:
        shown = "; ".join(
            f"{name}: {text!r}, with int8 weights {other!r}"
            for name, text, other in others[:_OTHERS_NAMED]
        )
        raise ParityError(
            f"{int8_name(WAVEFORM_GRAPH)}: {len(others)} of {len(utterances)} texts change when "
            f"the weights are int8 (at most {1 - LEAST_SAME:.0%} may): {shown}; nothing was "
            "exported: leave the int8 graphs out with int8=false"
        )
    found: dict[str, object] = {"recordings": len(utterances), "identical_text": same}
    spoken = [_named(named, normalise(one.text)) for one in utterances]
    if any(spoken):
        before, after = (_error_rate(spoken, heard) for heard in (ours, rounded))
        found["word_error_rate"] = {"float32": before, "int8": after, "change": after - before}
        say(f"int8: the word error rate goes from {before:.2%} to {after:.2%}")
    say(f"int8: {len(utterances) - len(others)} of {len(utterances)} texts stay the same")
    return found


def _opened(graphs: Mapping[str, onnx.ModelProto], file: str) -> onnxruntime.InferenceSession:
    return session(graphs[file].SerializeToString(), file)


def _text(graph: onnxruntime.InferenceSession, tokenizer: Tokenizer, waveform: Waveform) -> str:
    log_probs = graph.run(None, {"x": waveform[None]})[0][0]
    return tokenizer.decode(greedy(log_probs).ids)


def _named(words: Collection[str], text: str) -> str:
    return " ".join(word for word in text.split() if word in words) if words else text


def _error_rate(spoken: Sequence[str], heard: Sequence[str]) -> float:
    counts = metrics.word_counts(spoken, heard)
    return sum(one.errors for one in counts) / sum(one.reference for one in counts)
