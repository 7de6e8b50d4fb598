"""A small checkpoint with seeded weights, and clips, for the tests of export and the runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from linnet.export import export
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.module import Recogniser, save
from linnet.text import Characters

TOKENIZER = Characters("abcdefgh'é")
RECORD = {"seed": 0, "git": "none"}
SETTINGS: dict[str, Any] = {
    "sample_rate": 16000,
    "window_ms": 25.0,
    "shift_ms": 10.0,
    "preemphasis": 0.97,
    "mels": 80,
    "low_hz": 20.0,
    "high_hz": 7600.0,
    "cepstra": 40,
    "normalisation": "utterance",
    "normalise_waveform": True,
    "stack": 2,
}


def front_end(**changes: Any) -> FrontEnd:
    made = FrontEnd(**{**SETTINGS, **changes})
    if made.normalisation == "training":
        random = torch.Generator().manual_seed(1)
        cepstra = len(made.mean)
        made.set_statistics(
            torch.randn(cepstra, generator=random) * 20,
            torch.rand(cepstra, generator=random) * 20 + 5,
        )
    return made


def network(features: int, **changes: Any) -> Network:
    settings = {"cell": "gru", "layers": 2, "hidden": 24, "bidirectional": True, "dropout": 0.1}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = Network(
            features=features, tokens=len(TOKENIZER.tokens), **{**settings, **changes}
        ).eval()
    with torch.no_grad():  # outputs that are not flat, nor all blank, so that a mistake shows
        made.head.weight *= 12.0
        made.head.bias[0] = 0.0
    return made


def clips(count: int = 3, seed: int = 0) -> list[Float32[np.ndarray, " _samples"]]:
    """Tones that glide under bursts of noise, each of another length."""
    random = np.random.default_rng(seed)
    made = []
    for i in range(count):
        time = np.arange(5003 + 1709 * i) / 16000
        glide = np.sin(2 * np.pi * (200 + 300 * i) * time * (1 + time))
        noise = random.standard_normal(len(time)) * np.abs(np.sin(9 * time + i))
        made.append((0.2 * glide + 0.05 * noise + 0.01).astype(np.float32))
    return made


def silent(line: str) -> None:
    """Take a line of progress and show it to nobody."""


def saved(model: Recogniser, path: Path, record: dict[str, Any]) -> Path:
    """Write a checkpoint and give its path."""
    save(model, path, record)
    return path


def exported(output: Path, **changes: Any) -> Path:
    made = front_end()
    export(
        made,
        network(made.features, **changes),
        TOKENIZER,
        RECORD,
        output,
        clips(),
        longest_s=1.0,
        say=silent,
    )
    return output
