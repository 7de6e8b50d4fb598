"""Misses of keywords at the same rate of false alarms: an exported model and PocketSphinx.

    streams -> Linnet: steps -> detector  -> alarms -.
            -> PocketSphinx keyword search -> alarms -+-> the same matching -> misses at a rate

Both hear the same streams and are judged by the same lines. PocketSphinx wants a threshold for each
phrase, so besides one threshold for all (a device's false alarms) each keyword is also judged at
its own. It searches once, at a threshold that lets nearly all through: each detection comes with
the log-likelihood ratio that its threshold is compared with, so that one pass is a whole sweep.
"""

import itertools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pocketsphinx

from benchmarks.comparing import Comparison
from benchmarks.options import Options
from linnet import evaluation, runtime
from linnet.apps import config, corpus, listening
from linnet.errors import ConfigError
from linnet.evaluation import spotting
from linnet.evaluation.spotting import Heard, Recording
from linnet.metrics.matching import Alarm, Trials, match, pool
from linnet.metrics.spotting import at_rate, delay, misses_each

_RATES = (1.0, 5.0)
_LOWEST = "1e-60"
_FRAMES_A_SECOND = 100
_BLOCK = 1600


def run(options: Options) -> list[Comparison]:
    """Let both listen and compare their misses.

    Raises:
        ConfigError: there is no model, or no recordings.
    """
    if options.model is None or options.recordings is None or options.sentences is None:
        raise ConfigError(
            "spotting needs an exported model and recordings: --model DIR --recordings "
            "SPEECH_COMMANDS --sentences KALDI_DIRECTORY"
        )
    settings = config.compose(
        "evaluate",
        [
            f"model.path={config.literal(str(options.model))}",
            "data=spotting_commands12",
            f"data.corpora.commands.root={config.literal(str(options.recordings))}",
            f"data.corpora.sentences.root={config.literal(str(options.sentences))}",
        ],
    )
    words = list(settings.data.corpora.commands.words)
    examined = corpus.examined(settings.examine, config.build(settings.data), ("test",))
    model = runtime.load(options.model)
    keywords = model.keywords(words)
    steps = model.steps()
    heard, theirs = list[Heard](), list[Alarm]()
    streams = itertools.islice(listening.made(settings, examined), options.streams)
    with tempfile.TemporaryDirectory() as folder:
        decoder = _decoder(words, Path(folder))
        for recording in evaluation.progress(streams, total=None):
            heard.append(spotting.listen(steps, recording, model.seconds(1)))
            theirs += _searched(decoder, recording)
    ours = _trials(heard, words, spotting.alarms(heard, keywords))
    peer = _trials(heard, words, theirs)
    return [
        _comparison(task.format(rate), misses, rate, ours, peer)
        for rate in _RATES
        for task, misses in (
            ("missed at {:g} false alarms/h, one threshold", _pooled),
            ("missed at {:g} false alarms/h each, own thresholds", misses_each),
        )
    ]


def _decoder(words: Sequence[str], folder: Path) -> pocketsphinx.Decoder:
    """Give PocketSphinx's keyword search with its own English model."""
    phrases = folder / "phrases.txt"
    phrases.write_text("".join(f"{word} /{_LOWEST}/\n" for word in words))
    return pocketsphinx.Decoder(kws=str(phrases), loglevel="FATAL", samprate=16000)


def _searched(decoder: pocketsphinx.Decoder, recording: Recording) -> list[Alarm]:
    """Let PocketSphinx search a recording."""
    samples = np.clip(recording.waveform * 32768, -32768, 32767).astype(np.int16)
    decoder.start_stream()
    decoder.start_utt()
    for first in range(0, len(samples), _BLOCK):
        decoder.process_raw(samples[first : first + _BLOCK].tobytes(), False, False)
    decoder.end_utt()
    found_there = [
        Alarm(
            recording=recording.id,
            keyword=found.word.strip(),
            start_s=found.start_frame / _FRAMES_A_SECOND,
            end_s=(found.end_frame + 1) / _FRAMES_A_SECOND,
            # Grows with the log-likelihood ratio and lies in (0, 1), as scores do.
            score=found.prob / (1 + found.prob),
            decided_s=(found.end_frame + 1) / _FRAMES_A_SECOND,
        )
        for found in decoder.seg() or ()
    ]
    return _apart(found_there, runtime.Rules().refractory_s)


def _apart(alarms: list[Alarm], least_s: float) -> list[Alarm]:
    """Drop what lies near a better alarm of its keyword: PocketSphinx has no refractory time."""
    kept: list[Alarm] = []
    for alarm in sorted(alarms, key=lambda one: -one.score):
        if all(
            one.keyword != alarm.keyword or abs(one.middle_s - alarm.middle_s) > least_s
            for one in kept
        ):
            kept.append(alarm)
    return kept


def _trials(heard: Sequence[Heard], words: Sequence[str], alarms: list[Alarm]) -> list[Trials]:
    durations_s = {one.id: one.duration_s for one in heard}
    every = [one for word in words for one in spotting.occurrences(heard, word)[0]]
    trials = []
    for word in words:
        placed, somewhere = spotting.occurrences(heard, word)
        trials.append(match(word, placed, alarms, durations_s, unplaced=somewhere, others=every))
    return trials


def _pooled(trials: Sequence[Trials], rate: float) -> int:
    """Count the misses under one threshold."""
    together = pool(trials)
    return together.misses(at_rate(together, rate).threshold)


def _comparison(
    task: str,
    misses: Callable[[Sequence[Trials], float], int],
    rate: float,
    ours: Sequence[Trials],
    peer: Sequence[Trials],
) -> Comparison:
    said = sum(len(one.true_scores) for one in ours)
    mine, theirs = misses(ours, rate), misses(peer, rate)
    # None missed is counted as half a miss: a ratio needs a number.
    our_share, their_share = (100 * max(count, 0.5) / said for count in (mine, theirs))
    together = pool(ours)
    late = delay(together, at_rate(together, rate).threshold, 0.5)
    return Comparison(
        benchmark="spotting",
        task=task,
        ours="exported model",
        peer="PocketSphinx keyword search",
        unit="% missed",
        more_is_better=False,
        our_values=(our_share,),
        peer_values=(their_share,),
        agreement={
            "said": said,
            "hours": together.hours,
            "claimable": float(not at_rate(together, rate).bound),
            "our_misses": mine,
            "their_misses": theirs,
            **({"our_median_delay_s": late.value} if late else {}),
        },
    )
