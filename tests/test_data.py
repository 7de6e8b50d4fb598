"""From cuts to batches: every clip once, one order for one seed, nothing lost in padding."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

from linnet import data
from linnet.apps import config
from linnet.errors import CorpusError
from linnet.frontend import FrontEnd
from linnet.text import Characters

TOKENS = Characters("abcdefghijklmnopqrstuvwxyz'")
WORDS = ["up", "left", "happy", "zero"]


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> CutSet:
    """Forty clips of 0.2 to 1 s."""
    folder: Path = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    made = []
    for i in range(40):
        path = folder / f"{i:02}.wav"
        samples = 3200 + 320 * i
        soundfile.write(path, 0.1 * rng.normal(size=samples), 16000, subtype="FLOAT")
        recording = Recording.from_file(path, recording_id=f"{i:02}")
        duration = recording.duration
        text = WORDS[i % len(WORDS)]
        supervision = SupervisionSegment(f"{i:02}", f"{i:02}", 0.0, duration, text=text)
        made.append(
            MonoCut(f"{i:02}", 0.0, duration, 0, recording=recording, supervisions=[supervision])
        )
    return CutSet.from_cuts(made)


def sampler(cuts: CutSet, **changes: int | float | bool) -> data.EpochSampler:
    settings = {"batch_s": 5.0, "batch_cuts": 8, "buckets": 4, "shuffle": True, "seed": 0}
    return data.EpochSampler(cuts, **settings | changes)


def order(batches: data.EpochSampler) -> list[list[str]]:
    return [[cut.id for cut in batch] for batch in batches]


def test_an_epoch_holds_every_cut_once(cuts: CutSet) -> None:
    batches = order(sampler(cuts))
    assert sorted(name for batch in batches for name in batch) == [cut.id for cut in cuts]


def test_a_batch_stays_within_its_seconds_and_cuts(cuts: CutSet) -> None:
    batches = list(sampler(cuts))
    assert max(len(batch) for batch in batches) <= 8
    assert all(len(batch) * max(cut.duration for cut in batch) <= 5.0 for batch in batches)
    assert len(sampler(cuts)) == len(batches)


def test_the_seed_and_the_epoch_decide_the_order(cuts: CutSet) -> None:
    one, same, other = sampler(cuts), sampler(cuts), sampler(cuts, seed=1)
    assert order(one) == order(same) == order(one)
    assert order(one) != order(other)
    first = order(one)
    one.set_epoch(3)
    assert order(one) != first
    same.set_epoch(3)
    assert order(one) == order(same)
    one.set_epoch(0)
    assert order(one) == first


def test_a_batch_is_what_its_files_hold(cuts: CutSet) -> None:
    chosen = CutSet.from_cuts([cuts["03"], cuts["30"]])
    batch = data.Utterances(cuts, TOKENS.encode, memory_mb=100.0, margin_s=None)[chosen]
    for row, cut in enumerate(chosen):
        samples, _ = soundfile.read(cut.recording.sources[0].source, dtype="float32")
        count = int(batch.samples[row])
        assert count == len(samples)
        np.testing.assert_array_equal(batch.waveform[row, :count], samples)
        assert not batch.waveform[row, count:].any()
        ids = batch.ids[row, : int(batch.tokens[row])].tolist()
        assert TOKENS.decode(ids) == batch.texts[row] == WORDS[int(cut.id) % len(WORDS)]


def test_a_part_of_a_recording_is_read_from_its_place(cuts: CutSet) -> None:
    whole = data.waveform_of(cuts["20"])
    part = data.waveform_of(cuts["20"].truncate(offset=0.1, duration=0.2))
    np.testing.assert_array_equal(part, whole[1600:4800])


def test_waveforms_stay_in_memory_if_they_fit(cuts: CutSet) -> None:
    roomy = data.Utterances(cuts, TOKENS.encode, memory_mb=100.0, margin_s=None)
    tight = data.Utterances(cuts, TOKENS.encode, memory_mb=0.1, margin_s=None)
    assert roomy.load(cuts["05"]) is roomy.load(cuts["05"])
    assert tight.load(cuts["05"]) is not tight.load(cuts["05"])


def test_processes_give_the_batches_that_one_gives(cuts: CutSet) -> None:
    def batches(workers: int) -> list[data.Batch]:
        corpus = data.Corpus(
            train=cuts,
            valid=cuts,
            encode=TOKENS.encode,
            compose=None,
            batch_s=5.0,
            batch_cuts=8,
            buckets=4,
            memory_mb=100.0,
            workers=workers,
            seed=0,
        )
        return list(corpus.train_dataloader())

    for alone, shared in zip(batches(0), batches(2), strict=True):
        assert alone.names == shared.names
        assert torch.equal(alone.waveform, shared.waveform)


def test_a_cut_without_one_file_is_refused(cuts: CutSet) -> None:
    with pytest.raises(CorpusError, match="expected a recording in one file"):
        data.waveform_of(cuts["01"].append(cuts["02"]))


def test_statistics_equal_those_of_all_frames_together(cuts: CutSet) -> None:
    settings = config.compose(
        "train", ["model.stack=1", "frontend.normalisation=training"]
    ).frontend
    front_end = FrontEnd(**{k: v for k, v in settings.items() if k != "_target_"})
    utterances = data.Utterances(cuts, TOKENS.encode, memory_mb=100.0, margin_s=None)
    mean, deviation = data.statistics(front_end, [utterances[b] for b in sampler(cuts)])
    rows = []
    for cut in cuts:
        waveform = torch.from_numpy(data.waveform_of(cut))[None]
        rows.append(front_end(waveform, torch.tensor([waveform.shape[1]]))[0][0])
    together = torch.cat(rows)
    torch.testing.assert_close(mean, together.mean(0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(deviation, together.std(0, correction=0), atol=1e-4, rtol=1e-4)
