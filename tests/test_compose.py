"""Streams made of clips: every clip once, one plan for one seed, the text that is heard."""

from collections import Counter

import numpy as np
import pytest
from jaxtyping import Float32
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment
from lhotse.cut import Cut

from linnet import data
from linnet.compose import Composition, Piece, Stream, StreamSampler
from linnet.errors import ConfigError
from linnet.text import Characters

RATE = 16000
TEXTS = ["up", "left", "", "turn it up", "happy"]
SETTINGS = {
    "alone": 0.25,
    "rising": 0,
    "length_s": [1.0, 4.0],
    "pause_s": [0.0, 2.0],
    "gain_db": [-6.0, 6.0],
    "halting": 0.0,
    "halt_s": [0.2, 1.5],
    "floor_dbfs": [-200.0, -200.0],
    "margin_s": 0.1,
}


def composition(**changes: object) -> Composition:
    return Composition(**{**SETTINGS, **changes})  # type: ignore[arg-type]


def cut(number: int) -> Cut:
    name, duration = f"{number:03}", 0.4 + 0.05 * (number % 40)
    samples = round(duration * RATE)
    recording = Recording(name, [], RATE, samples, samples / RATE)
    said = SupervisionSegment(name, name, 0.0, samples / RATE, text=TEXTS[number % len(TEXTS)])
    return MonoCut(name, 0.0, samples / RATE, 0, recording=recording, supervisions=[said])


@pytest.fixture(scope="module")
def cuts() -> CutSet:
    return CutSet.from_cuts(cut(number) for number in range(200))


def load(one: Cut) -> Float32[np.ndarray, " samples"]:
    """A waveform that tells which clip it is and which sample."""
    samples = round(one.duration * RATE)
    return (np.arange(1, samples + 1) * 1e-6 + int(one.id)).astype(np.float32)


def test_every_clip_is_in_one_stream_of_an_epoch_once(cuts: CutSet) -> None:
    streams = composition().streams(cuts, seed=0, epoch=0)
    heard = Counter(piece.cut.id for stream in streams for piece in stream.pieces)
    assert heard == Counter(one.id for one in cuts)


def test_a_stream_is_its_clips_and_its_pauses_one_behind_the_other() -> None:
    pieces = (Piece(cut(3), "turn it up", 0.25, 0.0), Piece(cut(2), "", 0.5, 20 * np.log10(2)))
    stream = Stream("s", (*pieces, Piece(cut(1), "left", 0.0, 0.0)), 0.125, -200.0, 0)
    joined, spans = stream.made(load, RATE)
    expected = [
        np.zeros(4000),
        load(cut(3)),
        np.zeros(8000),
        2 * load(cut(2)),
        load(cut(1)),
        np.zeros(2000),
    ]
    np.testing.assert_allclose(joined, np.concatenate(expected), atol=1e-6)
    assert stream.text == "turn it up left"
    starts = np.cumsum([0, 4000, len(load(cut(3))), 8000, len(load(cut(2))), len(load(cut(1)))])
    for (first, end), begin, stop, number in zip(
        spans, starts[[1, 4]], starts[[2, 5]], (3, 1), strict=True
    ):
        assert begin <= first < end <= stop
        energy = np.square(joined[begin:stop], dtype=np.float64)
        assert energy[: first - begin].sum() <= 0.02 * energy.sum(), number
        assert energy[end - begin :].sum() <= 0.021 * energy.sum(), number
        assert energy[first - begin : end - begin].sum() >= 0.959 * energy.sum(), number
    assert stream.duration_s == pytest.approx(len(joined) / RATE)


def test_the_hiss_has_its_level_and_is_the_same_each_time() -> None:
    stream = Stream("s", (Piece(cut(0), "up", 4.0, -300.0),), 0.0, -40.0, 7)
    first, second = (stream.made(load, RATE)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert 20 * np.log10(np.sqrt(np.mean(np.square(first)))) == pytest.approx(-40.0, abs=0.2)


def test_a_halting_sentence_pauses_where_it_is_softest() -> None:
    seconds = np.arange(RATE * 3 // 2) / RATE
    loudness = 0.3 + 0.7 * np.sin(2 * np.pi * seconds) ** 2  # words of 0.5 s, softest in between
    sentence = (loudness * np.sin(2 * np.pi * 200 * seconds)).astype(np.float32)
    one = cut(3)
    halting = Piece(one, "turn it up", 0.0, 0.0, halts_s=(0.25, 0.5))
    stream = Stream("s", (halting,), 0.0, -400.0, 0)
    joined, [(first, end)] = stream.made(lambda _: sentence, RATE)
    halts = [(0.5, 0.25), (1.0, 0.5)]
    for place_s, halt_s in reversed(halts):
        before_s = place_s + sum(other_s for at_s, other_s in halts if at_s < place_s)
        begin, stop = round(before_s * RATE), round((before_s + halt_s) * RATE)
        tolerance = round(0.02 * RATE)
        assert abs(joined[begin + tolerance : stop - tolerance]).max() < 1e-6
    spoken, heard = (x[abs(x) > 1e-6] for x in (sentence, joined))
    np.testing.assert_array_equal(heard, spoken)
    assert len(joined) == len(sentence) + 0.75 * RATE
    assert first < 0.1 * RATE
    assert end > len(joined) - 0.1 * RATE
    assert stream.duration_s == pytest.approx(one.duration + 0.75)


def test_a_sentence_too_short_to_halt_in_is_left_as_it_is() -> None:
    halting = Piece(cut(3), "turn it up", 0.0, 0.0, halts_s=(0.5, 0.5, 0.5))
    short = np.sin(np.arange(RATE * 3 // 10)).astype(np.float32)
    joined, _ = Stream("s", (halting,), 0.0, -400.0, 0).made(lambda _: short, RATE)
    np.testing.assert_allclose(joined, short, atol=1e-6)


def test_only_some_sentences_halt_and_never_a_word(cuts: CutSet) -> None:
    streams = composition(halting=0.5, alone=0.0).streams(cuts, seed=0, epoch=0)
    pieces = [piece for stream in streams for piece in stream.pieces]
    halting = [piece for piece in pieces if piece.halts_s]
    assert {piece.text for piece in halting} == {"turn it up"}
    assert {len(piece.halts_s) for piece in halting} == {1, 2}
    assert 10 < len(halting) < 30  # of 40
    halts_s = [halt_s for piece in halting for halt_s in piece.halts_s]
    assert 0.2 <= min(halts_s) < max(halts_s) <= 1.5


def test_lengths_and_pauses_stay_in_their_ranges(cuts: CutSet) -> None:
    streams = composition(alone=0.0, pause_s=[0.1, 2.1]).streams(cuts, seed=0, epoch=0)
    pauses = np.array([piece.pause_s for one in streams for piece in one.pieces])
    assert 0.1 <= pauses.min() < 0.11
    assert 1.5 < pauses.max() <= 2.1
    assert pauses.mean() == pytest.approx(0.6, abs=0.1)
    for one in streams:
        clips_s = sum(piece.cut.duration for piece in one.pieces)
        assert clips_s <= 4.0 or len(one.pieces) == 1
    alone = composition(alone=1.0).streams(cuts, seed=0, epoch=0)
    assert all(one.duration_s == one.pieces[0].cut.duration for one in alone)
    assert len(alone) == len(cuts)


def test_the_first_epochs_are_single_clips_and_streams_come_step_by_step(cuts: CutSet) -> None:
    rising = composition(rising=4)
    alone = []
    for epoch in range(6):
        streams = rising.streams(cuts, seed=0, epoch=epoch)
        alone.append(sum(one.after_s == 0 for one in streams) / len(streams))
    np.testing.assert_allclose(alone, [1.0, 0.75, 0.5, 0.25, 0.25, 0.25], atol=0.12)


def sampler(cuts: CutSet, **changes: int) -> StreamSampler:
    return StreamSampler(
        cuts, composition(), **{"batch_s": 20.0, "batch_cuts": 8, "seed": 0, **changes}
    )


def test_the_seed_and_the_epoch_decide_every_batch(cuts: CutSet) -> None:
    def plan(one: StreamSampler) -> list[list[Stream]]:
        return list(one)

    first, same = sampler(cuts), sampler(cuts)
    assert plan(first) == plan(same) == plan(first)
    assert plan(first) != plan(sampler(cuts, seed=1))
    before = plan(first)
    first.set_epoch(2)
    assert plan(first) != before
    same.set_epoch(2)
    assert plan(first) == plan(same)


def test_no_epoch_is_longer_than_the_schedule_is_planned_for(cuts: CutSet) -> None:
    corpus = data.Corpus(
        train=cuts,
        valid=cuts,
        encode=list,
        compose=composition(rising=3),
        batch_s=20.0,
        batch_cuts=8,
        buckets=4,
        memory_mb=1.0,
        workers=0,
        seed=0,
    )
    longest = corpus.longest_epoch()
    rising = StreamSampler(cuts, composition(rising=3), batch_s=20.0, batch_cuts=8, seed=0)
    lengths = []
    for epoch in range(8):
        rising.set_epoch(epoch)
        lengths.append(len(rising))
    assert len(set(lengths)) > 1
    assert max(lengths) <= longest + 2


def test_a_batch_of_streams_stays_within_its_seconds(cuts: CutSet) -> None:
    batches = list(sampler(cuts))
    assert len(sampler(cuts)) == len(batches)
    assert max(map(len, batches)) <= 8
    assert all(len(one) * max(s.duration_s for s in one) <= 20.0 for one in batches)
    lengths = [[stream.duration_s for stream in one] for one in batches]
    padding = 1 - sum(map(sum, lengths)) / sum(len(one) * max(one) for one in lengths)
    assert padding < 0.1


def test_a_batch_holds_what_its_streams_say(cuts: CutSet) -> None:
    tokens = Characters("adefhilnprtuy")
    utterances = data.Utterances(cuts, tokens.encode, memory_mb=100.0, margin_s=0.1)
    utterances._waveforms = {one.id: load(one) for one in cuts}
    chosen = next(iter(sampler(cuts)))
    batch = utterances[chosen]
    for row, stream in enumerate(chosen):
        count = int(batch.samples[row])
        np.testing.assert_array_equal(batch.waveform[row, :count], stream.made(load, RATE)[0])
        assert tokens.decode(batch.ids[row, : int(batch.tokens[row])].tolist()) == stream.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"length_s": [4.0, 1.0]},
        {"alone": 1.5},
        {"pause_s": [-1.0, 2.0]},
        {"halting": -0.1},
        {"halt_s": [-0.5, 1.0]},
        {"length_s": [0.0, 1.0]},
    ],
)
def test_settings_that_make_no_stream_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="compose"):
        composition(**wrong)
