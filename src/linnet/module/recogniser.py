"""A recogniser without its training: waveform -> front-end -> network -> log-probabilities."""

import math
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor, nn

from linnet.convolved import Convolutions
from linnet.errors import ConfigError
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.streaming import StreamingNetwork
from linnet.streaming import network as build_network
from linnet.text import Tokenizer, described, tokenizer

FORMAT = 1


class Recogniser(nn.Module):
    """Front-end, network and tokens: all that a recogniser is, without its training.

    Args:
        front_end: waveform to features.
        network: features to log-probabilities.
        tokens: text to token ids and back.

    Raises:
        ConfigError: the network streams, but the front-end needs the whole clip.
    """

    def __init__(self, front_end: FrontEnd, network: Network, tokens: Tokenizer) -> None:
        super().__init__()
        if isinstance(network, StreamingNetwork) and not front_end.causal:
            raise ConfigError(
                f"frontend.normalisation={front_end.normalisation} with "
                f"frontend.normalise_waveform={front_end.normalise_waveform} needs the whole clip, "
                "but this model streams; use frontend=streaming"
            )
        if network.stem is not None:
            _check_stem(front_end, network.stem)
        self.front_end = front_end
        self.network = network
        self.tokenizer = tokens
        self.sample_rate = front_end.sample_rate

    def description(self) -> dict[str, Any]:
        """Give what ``recogniser`` rebuilds this object from, as plain values."""
        return {
            "format": FORMAT,
            "front_end": self.front_end.settings,
            "network": self.network.settings,
            "tokenizer": described(self.tokenizer),
        }

    def forward(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> tuple[Float[Tensor, "batch steps tokens"], Int[Tensor, " batch"]]:
        """Give log-probabilities and the steps of each clip."""
        features, steps = self.front_end(waveform, samples)
        return self.network(features, steps), steps

    @torch.no_grad()
    def log_probs(
        self, waveform: Float32[np.ndarray, " samples"]
    ) -> Float32[np.ndarray, "steps tokens"]:
        """Give the log-probabilities of one clip, as an exported model does."""
        self.eval()
        device = next(self.parameters()).device
        batch = torch.from_numpy(waveform).to(device)[None]
        log_probs, _ = self(batch, torch.tensor([len(waveform)], device=device))
        return cast("np.ndarray", log_probs[0].cpu().numpy())

    def seconds(self, step: int) -> float:
        """Give the time at which ``step`` starts."""
        return self.front_end.seconds(step)


def _check_stem(front_end: FrontEnd, stem: Convolutions) -> None:
    """Refuse convolutions over what are not the frames and bands that they take it for."""
    if front_end.settings["cepstra"]:
        raise ConfigError(
            f"frontend.cepstra={front_end.settings['cepstra']} gives coefficients, but this "
            "model's convolutions read neighbouring mel bands; use frontend=log_mel"
        )
    if math.prod(stem.strides) != front_end.stack:
        raise ConfigError(
            f"model.stack={front_end.stack} frames make a step, but model.strides={stem.strides} "
            f"multiply to {math.prod(stem.strides)}; make them equal"
        )


def recogniser(description: dict[str, Any]) -> Recogniser:
    """Build the recogniser that ``description`` names, with fresh weights."""
    return Recogniser(
        FrontEnd(**description["front_end"]),
        build_network(description["network"]),
        tokenizer(description["tokenizer"]),
    )
