"""The model: a waveform graph with its tokens, sample rate and times.

waveform -> resample -> log-probabilities -> beam -> text with times and confidences
samples as they come -> windows -> log-probabilities -> keywords with their times
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from jaxtyping import Float32, Shaped

from linnet.audio import resample
from linnet.decode import beam as beam_search
from linnet.decode import greedy
from linnet.errors import InputError, ModelError, TextError
from linnet.keywords import Keyword, parse
from linnet.runtime.checking import check_rate, checked
from linnet.runtime.spotting import Hearing, Rules, Spotted, Spotter, Window
from linnet.runtime.stream import Stream, streams
from linnet.runtime.windows import StepStream, Windows
from linnet.text import Tokenizer, tokenizer

# Where a keyword has neither a threshold of its own nor a calibrated one.
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Token:
    """One symbol of a transcript: when it was said, in seconds, and how sure the model is."""

    token: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcript:
    """What was said, how sure the model is (0 to 1), and the symbols it is made of."""

    text: str
    confidence: float
    tokens: tuple[Token, ...]


class Model:
    """A loaded waveform graph. Any number of threads may use one at the same time.

    Args:
        session: of a graph from ``x`` [N, S] to log-probabilities [N, T', V].
        description: the content of ``model.json``.
        name: what errors call the model.
        streaming: opens the stream graph of a causal model, once; a lone graph has none.
    """

    tokenizer: Tokenizer
    sample_rate: int

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        description: Mapping[str, Any],
        name: str,
        *,
        streaming: Callable[[], onnxruntime.InferenceSession] | None = None,
    ) -> None:
        self.description = description
        self.name = name
        self._streaming = streaming
        try:
            self.sample_rate = int(description["sample_rate"])
            self._step_samples = int(description["subsampling"]["samples"])
            self.tokenizer = tokenizer(description["tokenizer"])
        except (KeyError, TypeError, ValueError, TextError) as error:
            raise ModelError(
                f"{name}: its description lacks or spoils something ({error!r}); export it again"
            ) from error
        self._session = session
        inputs, outputs = session.get_inputs(), session.get_outputs()
        tokens = len(self.tokenizer.tokens)
        if len(inputs) != 1 or len(outputs) != 1 or outputs[0].shape[-1] != tokens:
            raise ModelError(
                f"{name}: a waveform graph has one input and one output of {tokens} tokens, this "
                f"has inputs {[(i.name, i.shape) for i in inputs]} and outputs "
                f"{[(o.name, o.shape) for o in outputs]}; export it again"
            )
        self._input, self._output = inputs[0].name, outputs[0].name

    def seconds(self, step: int) -> float:
        """Give the time at which ``step`` starts."""
        return step * self._step_samples / self.sample_rate

    def log_probs(self, waveform: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "steps tokens"]:
        """Give the log-probabilities of the tokens at each step.

        Args:
            waveform: samples in +-1 at ``sample_rate``, one axis, float32; may be empty.

        Raises:
            InputError: it is none of these, or holds NaN or infinity.
        """
        return self._session.run([self._output], {self._input: checked(waveform)[None]})[0][0]

    def steps(self, window: Window | None = None) -> StepStream:
        """Give the beginning of a stream: samples at ``sample_rate`` in, log-probabilities out.

        Args:
            window: how far it listens around what it reads; None takes the stream of a causal
                model, which hears every sample once, if the model folder has one.

        Raises:
            ModelError: the stream graph was changed, or was trained on other features than are
                computed here.
        """
        if window is None and self._streaming is not None and streams(self.description):
            return Stream(self._streaming(), self.description, self.name)
        window = window or Window()
        left, read, right = (
            round(seconds * self.sample_rate)
            for seconds in (window.left_s, window.read_s, window.right_s)
        )
        return Windows(
            self.log_probs,
            len(self.tokenizer.tokens),
            self._step_samples,
            left=left,
            read=read,
            right=right,
        )

    def keywords(
        self, typed: Sequence[str], threshold: float = DEFAULT_THRESHOLD
    ) -> tuple[Keyword, ...]:
        """Read keywords as they are typed: ``text`` or ``text:threshold``.

        Args:
            typed: any text that the tokens spell.
            threshold: of those that have none of their own and were not calibrated.

        Raises:
            KeywordError: one of them cannot be listened for.
            ModelError: the calibrated thresholds are damaged.
        """
        calibrated = self.description.get("keywords", {})
        try:
            known = {text: float(entry["threshold"]) for text, entry in calibrated.items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{self.name}: its calibrated keywords are damaged ({error!r}); calibrate them "
                "again with 'linnet calibrate'"
            ) from error
        return parse(typed, self.tokenizer, known, threshold)

    def stream(
        self,
        sample_rate: int,
        keywords: Sequence[str | Keyword],
        *,
        window: Window | None = None,
        rules: Rules | None = None,
    ) -> Spotter:
        """Give a spotter for one stream. Any number of them may share this model.

        Args:
            sample_rate: of the samples that will be pushed, in Hz.
            keywords: as they are typed, or as ``keywords`` gives them.
            window: for a model that hears whole recordings.
            rules: what makes a detection.

        Raises:
            InputError: the rate, a keyword or a length is not of its kind.
        """
        typed = [each for each in keywords if isinstance(each, str)]
        made = [each for each in keywords if isinstance(each, Keyword)]
        wanted = (*made, *(self.keywords(typed) if typed or not made else ()))
        hearing = Hearing(self.steps(window), self.tokenizer, self.sample_rate, self._step_samples)
        return Spotter(hearing, wanted, sample_rate, rules or Rules())

    def spot(
        self,
        waveform: Shaped[np.ndarray, "..."],
        sample_rate: int,
        keywords: Sequence[str | Keyword],
        *,
        window: Window | None = None,
        rules: Rules | None = None,
    ) -> tuple[Spotted, ...]:
        """Give the keywords in a recording: exactly what a stream of it gives.

        Args:
            waveform: samples in +-1, one axis, float32; may be empty.
            sample_rate: of the waveform, in Hz.
            keywords: as for ``stream``, as are the next two.
            window: for a model that hears whole recordings.
            rules: what makes a detection.

        Raises:
            InputError: one of these is not of its kind.
        """
        spotter = self.stream(sample_rate, keywords, window=window, rules=rules)
        return spotter.push(waveform) + spotter.flush()

    def transcribe(
        self, waveform: Shaped[np.ndarray, "..."], sample_rate: int, beam: int = 1
    ) -> Transcript:
        """Give the text of a recording.

        Args:
            waveform: samples in +-1, one axis, float32; may be empty.
            sample_rate: of the waveform, in Hz; another than the model's is resampled.
            beam: prefixes that are kept at each step; 1 takes the best token of each step.

        Raises:
            InputError: the waveform, its rate or the beam is not of that kind.
        """
        check_rate(sample_rate)
        if beam < 1:
            raise InputError(f"beam={beam} must be at least 1")
        if not checked(waveform).size:
            # The graph answers with what it makes of silence; where nothing is, nothing was said.
            return Transcript("", 1.0, ())
        resampled = resample(waveform, sample_rate, self.sample_rate)
        log_probs = self.log_probs(resampled)
        found = greedy(log_probs) if beam == 1 else beam_search(log_probs, beam)
        tokens = tuple(
            Token(self.tokenizer.tokens[i], self.seconds(start), self.seconds(end), confidence)
            for i, start, end, confidence in zip(
                found.ids, found.starts, found.ends, found.confidences, strict=True
            )
        )
        return Transcript(self.tokenizer.decode(found.ids), found.confidence, tokens)
