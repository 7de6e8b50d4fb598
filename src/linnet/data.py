"""From lhotse cuts to batches.

    cuts -> bucketing sampler -> waveforms (kept in memory when they fit) -> padded batch
    cuts -> composed streams  ->

The sampler decides a whole epoch at once from the seed and the epoch's number, so that a resumed
run sees the batches that an uninterrupted one would have seen.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import lightning
import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from lhotse import CutSet
from lhotse.cut import Cut
from lhotse.dataset.sampling import DynamicBucketingSampler
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from linnet import audio
from linnet.aligned import Pieces
from linnet.compose import Composition, Stream, StreamSampler
from linnet.errors import CorpusError
from linnet.frontend import FrontEnd

_BYTES = np.dtype(np.float32).itemsize
_MEGABYTE = 2**20


class Batch(NamedTuple):
    """Padded clips and their targets."""

    waveform: Float[Tensor, "batch samples"]
    samples: Int[Tensor, " batch"]
    ids: Int[Tensor, "batch longest"]
    tokens: Int[Tensor, " batch"]
    texts: list[str]
    names: list[str]
    pieces: Pieces | None = None  # of streams, where they speak


def waveform_of(cut: Cut) -> Float32[np.ndarray, " samples"]:
    """Read the samples of ``cut``: mono, at Linnet's rate.

    Raises:
        AudioError: the recording cannot be read.
        CorpusError: the cut does not lie in one file.
    """
    sources = getattr(getattr(cut, "recording", None), "sources", [])
    if len(sources) != 1 or sources[0].type != "file":
        raise CorpusError(f"cut {cut.id}: expected a recording in one file, got {cut!r}")
    whole = cut.start == 0 and cut.duration >= cut.recording.duration
    return audio.read(
        sources[0].source, start_s=cut.start, duration_s=None if whole else cut.duration
    )


def text_of(cut: Cut) -> str:
    """Give the transcript of ``cut``."""
    return str(cut.supervisions[0].text or "")


class Utterances(Dataset[Batch]):
    """Maps the cuts of one batch to the batch.

    Args:
        cuts: all that may be asked for.
        encode: text to token ids.
        memory_mb: waveforms are kept in memory if all of them fit into this.
        margin_s: how far outside the speech of a piece of a stream its tokens may be told; None if
            that does not matter.
    """

    def __init__(
        self,
        cuts: CutSet,
        encode: Callable[[str], list[int]],
        *,
        memory_mb: float,
        margin_s: float | None,
    ) -> None:
        seconds = sum(cut.duration for cut in cuts)
        self.encode = encode
        self.margin_s = margin_s
        self.kept = seconds * audio.SAMPLE_RATE * _BYTES <= memory_mb * _MEGABYTE
        self._waveforms: dict[str, Float32[np.ndarray, " samples"]] = {}

    def load(self, cut: Cut) -> Float32[np.ndarray, " samples"]:
        """Give the waveform of ``cut``, from memory if it is there."""
        waveform = self._waveforms.get(cut.id)
        if waveform is None:
            waveform = waveform_of(cut)
            if self.kept:
                self._waveforms[cut.id] = waveform
        return waveform

    def __getitem__(self, examples: CutSet | list[Stream]) -> Batch:
        """Give the batch of these cuts or streams."""
        texts = [one.text if isinstance(one, Stream) else text_of(one) for one in examples]
        made = [self._made(one) for one in examples]
        waveforms = [torch.from_numpy(waveform) for waveform, _ in made]
        ids = [torch.tensor(self.encode(text), dtype=torch.long) for text in texts]
        return Batch(
            waveform=torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True),
            samples=torch.tensor([len(waveform) for waveform in waveforms]),
            ids=torch.nn.utils.rnn.pad_sequence(ids, batch_first=True),
            tokens=torch.tensor([len(one) for one in ids]),
            texts=texts,
            names=[one.id for one in examples],
            pieces=self._pieces(examples, [spans for _, spans in made]),
        )

    def _made(
        self, example: Cut | Stream
    ) -> tuple[Float32[np.ndarray, " samples"], list[tuple[int, int]]]:
        if isinstance(example, Stream):
            return example.made(self.load, audio.SAMPLE_RATE)
        return self.load(example), []

    def _pieces(
        self, examples: CutSet | list[Stream], spans: list[list[tuple[int, int]]]
    ) -> Pieces | None:
        """Give where the pieces of streams may be told; None if anywhere, or if nobody speaks."""
        if self.margin_s is None:
            return None
        margin = round(self.margin_s * audio.SAMPLE_RATE)
        found = []
        for row, example in enumerate(examples):
            if not isinstance(example, Stream):
                return None
            said, before = "", 0
            spoken = [piece.text for piece in example.pieces if piece.text]
            for text, (first, end) in zip(spoken, spans[row], strict=True):
                said = f"{said} {text}"
                tokens = len(self.encode(said))
                found.append((row, first - margin, end + margin, tokens - before))
                before = tokens
        if not found:
            return None
        return Pieces(*(torch.tensor(column) for column in zip(*found, strict=True)))


class EpochSampler(Sampler[CutSet]):
    """lhotse's bucketing sampler, one epoch at a time, so that its length is known.

    Args:
        cuts: what to sample.
        batch_s: most seconds of audio in a batch, padding included.
        batch_cuts: most cuts in a batch.
        buckets: groups of like duration that a batch is drawn from.
        shuffle: draw a new order each epoch; else the order of the cuts by bucket.
        seed: with the epoch's number it decides the order.
    """

    def __init__(
        self,
        cuts: CutSet,
        *,
        batch_s: float,
        batch_cuts: int,
        buckets: int,
        shuffle: bool,
        seed: int,
    ) -> None:
        with warnings.catch_warnings():
            # It advises to read the cuts lazily; they are few enough to be in memory.
            warnings.filterwarnings("ignore", message="You are using DynamicBucketingSampler")
            self._sampler = DynamicBucketingSampler(
                cuts,
                max_duration=batch_s,
                max_cuts=batch_cuts,
                num_buckets=max(2, min(buckets, len(cuts))),
                shuffle=shuffle,
                seed=seed,
                world_size=1,
                rank=0,
            )
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Decide the batches of ``epoch``; Lightning calls this when the epoch starts."""
        self._sampler.set_epoch(epoch)
        self._batches = list(self._sampler)

    def __iter__(self) -> Iterator[CutSet]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class Corpus(lightning.LightningDataModule):
    """The batches of training and validation.

    Args:
        train: cuts to learn from.
        valid: cuts to choose the checkpoint by.
        encode: text to token ids.
        compose: strings clips of training together; None trains on single clips.
        batch_s: most seconds of audio in a batch, padding included.
        batch_cuts: most cuts or streams in a batch.
        buckets: groups of like duration.
        memory_mb: waveforms stay in memory if they fit into this.
        workers: processes that read audio; 0 reads in the training process.
        seed: decides the order of the batches.
    """

    def __init__(
        self,
        *,
        train: CutSet,
        valid: CutSet,
        encode: Callable[[str], list[int]],
        compose: Composition | None,
        batch_s: float,
        batch_cuts: int,
        buckets: int,
        memory_mb: float,
        workers: int,
        seed: int,
    ) -> None:
        super().__init__()
        self._train, self._valid = train, valid
        self._compose = compose
        self._utterances = {
            "train": Utterances(
                train, encode, memory_mb=memory_mb, margin_s=compose.margin_s if compose else None
            ),
            "valid": Utterances(valid, encode, memory_mb=memory_mb, margin_s=None),
        }
        self._limits = (batch_s, batch_cuts, buckets)
        self._workers = workers
        self._seed = seed

    def longest_epoch(self) -> int:
        """Give about how many batches the longest epoch has: streams come in step by step."""
        sampler = self._sampler(self._train, shuffle=True)
        if self._compose is None or not self._compose.rising:
            return len(sampler)
        first = len(sampler)
        sampler.set_epoch(self._compose.rising)
        return max(first, len(sampler))

    def train_dataloader(self) -> DataLoader[Batch]:
        """Give the batches of an epoch, in an order that the seed and the epoch decide."""
        return self._loader("train", self._train, shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Give the validation batches, always in the same order."""
        return self._loader("valid", self._valid, shuffle=False)

    def _sampler(self, cuts: CutSet, *, shuffle: bool) -> EpochSampler | StreamSampler:
        batch_s, batch_cuts, buckets = self._limits
        if self._compose is not None and shuffle:
            return StreamSampler(
                cuts, self._compose, batch_s=batch_s, batch_cuts=batch_cuts, seed=self._seed
            )
        return EpochSampler(
            cuts,
            batch_s=batch_s,
            batch_cuts=batch_cuts,
            buckets=buckets,
            shuffle=shuffle,
            seed=self._seed,
        )

    def _loader(self, split: str, cuts: CutSet, *, shuffle: bool) -> DataLoader[Batch]:
        sampler = self._sampler(cuts, shuffle=shuffle)
        # Lightning asks a loader for its length before it tells the sampler which epoch it is.
        sampler.set_epoch(self.trainer.current_epoch if self.trainer and shuffle else 0)
        if self._workers and self._utterances[split].kept:
            # Read before the processes fork, so that they share one copy.
            for cut in cuts:
                self._utterances[split].load(cut)
        return DataLoader(
            self._utterances[split],
            batch_size=None,
            sampler=sampler,
            num_workers=self._workers,
        )


def statistics(
    front_end: FrontEnd, batches: Iterable[Batch]
) -> tuple[Float[Tensor, " cepstra"], Float[Tensor, " cepstra"]]:
    """Give mean and standard deviation of the cepstra over all frames of ``batches``."""
    count = 0.0
    total = squares = torch.zeros(front_end.dct.shape[1], dtype=torch.float64)
    for batch in batches:
        levelled = front_end.level(batch.waveform, batch.samples)
        cepstra = front_end.log_mel(levelled, batch.samples) @ front_end.dct
        frames = front_end.frames(batch.samples)
        for row, length in zip(cepstra.double(), frames.tolist(), strict=True):
            count += length
            total = total + row[:length].sum(0)
            squares = squares + row[:length].square().sum(0)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=1e-10).sqrt()
    return mean.float(), deviation.float()
