"""The peer of ``train``: the plainest training loop that one would write with torch and torchaudio.

    files -> Dataset (soundfile, torchaudio MFCC, a clip at a time) -> DataLoader -> packed nn.GRU
      -> nn.CTCLoss -> AdamW

It learns the same network from the same clips as Linnet, without augmentation, schedule, clipping
or logging. Nothing in it is Linnet's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile
import torch
import torchaudio
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

Example = tuple[Tensor, Tensor]
Batch = tuple[Tensor, Tensor, Tensor, Tensor]


class Clips(Dataset[Example]):
    """Reads a clip and computes its MFCC whenever it is asked for."""

    def __init__(
        self, files: Sequence[tuple[Path, list[int]]], front_end: dict[str, Any], stack: int
    ) -> None:
        self.files = files
        self.stack = stack
        per_ms = front_end["sample_rate"] / 1000
        self.mfcc = torchaudio.transforms.MFCC(
            front_end["sample_rate"],
            front_end["cepstra"],
            log_mels=True,
            melkwargs={
                "n_fft": 512,
                "win_length": round(front_end["window_ms"] * per_ms),
                "hop_length": round(front_end["shift_ms"] * per_ms),
                "f_min": front_end["low_hz"],
                "f_max": front_end["high_hz"],
                "n_mels": front_end["mels"],
            },
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Example:
        """Give features [steps, stack * cepstra] and token ids of one clip."""
        path, ids = self.files[index]
        waveform, _ = soundfile.read(path, dtype="float32")
        cepstra = self.mfcc(torch.from_numpy(waveform)).T
        cepstra = (cepstra - cepstra.mean(0)) / (cepstra.std(0) + 1e-5)
        steps = len(cepstra) // self.stack
        features = cepstra[: steps * self.stack].reshape(steps, -1)
        return features, torch.tensor(ids)


def collate(examples: Sequence[Example]) -> Batch:
    """Pad the clips of a batch: features, steps, ids, tokens."""
    features, ids = zip(*examples, strict=True)
    return (
        pad_sequence(features, batch_first=True),
        torch.tensor([len(one) for one in features]),
        pad_sequence(ids, batch_first=True),
        torch.tensor([len(one) for one in ids]),
    )


class Network(nn.Module):
    """Bidirectional GRU layers and a linear layer."""

    def __init__(
        self, features: int, tokens: int, hidden: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.recurrent = nn.GRU(
            features, hidden, layers, batch_first=True, bidirectional=True, dropout=dropout
        )
        self.head = nn.Linear(2 * hidden, tokens)

    def forward(self, features: Tensor, steps: Tensor) -> Tensor:
        """Give log-probabilities [batch, steps, tokens]."""
        packed = pack_padded_sequence(features, steps, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return self.head(states).log_softmax(-1)


class Loop:
    """Network, loss and optimizer."""

    def __init__(self, network: Network, loader: DataLoader[Any], learning_rate: float) -> None:
        self.network = network.train()
        self.loader = loader
        self.ctc = nn.CTCLoss()
        self.optimizer = torch.optim.AdamW(network.parameters(), learning_rate)

    def loss(self, batch: Batch) -> Tensor:
        """Give the CTC loss of a batch."""
        features, steps, ids, tokens = batch
        return self.ctc(self.network(features, steps).transpose(0, 1), ids, steps, tokens)

    def epoch(self) -> int:
        """Train once through the clips and give the number of steps."""
        steps = 0
        for batch in self.loader:
            self.optimizer.zero_grad()
            self.loss(batch).backward()
            self.optimizer.step()
            steps += 1
        return steps
