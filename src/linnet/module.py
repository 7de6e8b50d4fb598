"""Training: front-end, network and CTC loss as one LightningModule, and the checkpoints it leaves.

    waveform -> augment -> log-mel -> augment -> cepstra -> network -> CTC loss -> AdamW, one cycle

A checkpoint holds plain values and tensors only (``weights_only=True`` loads it): under ``linnet``
the constructor arguments of front-end and network and the tokens, so that using it needs no
configuration.
"""

import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import lightning
import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from linnet import decode, metrics
from linnet.aligned import aligned_loss
from linnet.augment import Gain, SpecAugment, Warp, WaveformAugment
from linnet.convolved import Convolutions
from linnet.data import Batch, Corpus
from linnet.distill import Distillation
from linnet.errors import ConfigError, LinnetError, ModelError
from linnet.files import beside
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.rarity import Rarity
from linnet.streaming import StreamingNetwork
from linnet.streaming import network as build_network
from linnet.text import Tokenizer, normalise, tokenizer

FORMAT = 1
# What reading a damaged pickle can raise, by the documentation of pickle and by trial.
_UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
# Spreads the steps of one seed over the generator's space: seeds 0 and 1 share no step.
_SEED_STRIDE = 1_000_003


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
            "tokenizer": {"kind": self.tokenizer.kind, "tokens": self.tokenizer.tokens},
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
        tokenizer(description["tokenizer"]["kind"], description["tokenizer"]["tokens"]),
    )


def load(path: Path) -> tuple[Recogniser, dict[str, Any]]:
    """Load the recogniser of a checkpoint, ready for use, and the record of its training.

    Raises:
        ModelError: the file is missing, damaged, no checkpoint of Linnet, of another format, or
            holds objects (a pickle that could run code).
    """
    if not path.is_file():
        raise ModelError(
            f"{path}: there is no such checkpoint; expected a .ckpt file of linnet train"
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: refused, because it is damaged or holds objects that could run code; "
            f"expected a checkpoint of linnet train"
        ) from error
    except _UNREADABLE as error:
        raise ModelError(
            f"{path}: cut short, or no checkpoint at all; expected a .ckpt file of linnet train"
        ) from error
    description = checkpoint.get("linnet") if isinstance(checkpoint, dict) else None
    if description is None:
        raise ModelError(f"{path}: a checkpoint, but not one that linnet train wrote")
    if description["format"] != FORMAT:
        raise ModelError(
            f"{path}: checkpoint format {description['format']}, but this version of Linnet reads "
            f"format {FORMAT}; train it again or use the version that wrote it"
        )
    prefix = "recogniser."
    state = checkpoint["state_dict"]
    weights = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    try:
        model = recogniser(description)
        model.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: its weights and its description differ ({reason})") from error
    model.eval()
    model.network = model.network.plain()
    return model, description["record"]


class CheckpointFile(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: a full disk or a kill loses nothing."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: object = None,
    ) -> None:
        """Save ``checkpoint`` at ``path``."""
        final = Path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside(final) as draft, draft.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            raise LinnetError(
                f"{final}: could not save the checkpoint ({error}); the last complete one is kept, "
                f"make room and go on with resume=true"
            ) from error


class Training(lightning.LightningModule):
    """Trains a recogniser with the CTC loss (Graves et al. 2006).

    Args:
        model: what is trained.
        waveform_augment: changes waveforms before their level is normalised.
        gain: changes the level after that.
        warp: stretches the mel axis.
        spec_augment: masks the log-mel.
        optimizer: makes the optimizer of the parameters.
        warmup: share of all steps in which the learning rate rises (one-cycle, Smith 2018).
        seed: decides every random number of a step, together with the step's number.
        record: what is known about this run, kept in its checkpoints.
        rarity: how many times rarer words that are one token are in use than in training.
        distillation: adds what a teacher hears; without one the texts alone are learnt.
    """

    def __init__(
        self,
        *,
        model: Recogniser,
        waveform_augment: WaveformAugment,
        gain: Gain,
        warp: Warp,
        spec_augment: SpecAugment,
        optimizer: Callable[..., torch.optim.Optimizer],
        warmup: float,
        seed: int,
        record: dict[str, Any],
        rarity: float = 1.0,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.recogniser = model
        self.rarity = Rarity(model.tokenizer.tokens, factor=rarity)
        self.rarity.start(model.network.head)
        self.waveform_augment = waveform_augment
        self.gain = gain
        self.warp = warp
        self.spec_augment = spec_augment
        self._optimizer = optimizer
        self._warmup = warmup
        self._seed = seed
        self._record = record
        self._distillation = distillation
        self._pairs: list[tuple[str, str]] = []

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Give the optimizer and its one-cycle schedule over all steps of the run."""
        optimizer = self._optimizer(self.recogniser.network.parameters())
        epochs = int(self.trainer.max_epochs or 1)
        batches = cast("Corpus", self.trainer.datamodule)  # type: ignore[attr-defined]
        # Epochs differ by a batch or so; the schedule must not end before they do.
        most = (batches.longest_epoch() + 2) * epochs + 1
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=most,
            # A rise of less than two steps would divide by zero.
            pct_start=max(self._warmup, 2 / most),
            cycle_momentum=False,
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed the step, so that a resumed run draws what an uninterrupted one would have drawn."""
        torch.manual_seed(self._seed * _SEED_STRIDE + self.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Give the loss of one batch: negative log-likelihood per token, averaged over clips."""
        model = self.recogniser
        waveform, samples = self.waveform_augment(batch.waveform, batch.samples)
        levelled = self.gain(model.front_end.level(waveform, samples))
        frames = model.front_end.frames(samples)
        log_mel = self.warp(model.front_end.log_mel(levelled, samples))
        log_mel = self.spec_augment(log_mel, frames)
        features, steps = model.front_end.from_log_mel(log_mel, frames)
        log_probs = model.network(features, steps)
        loss = self._stream_loss(self.rarity(log_probs), steps, samples, batch)
        if self._distillation is not None:
            heard = (waveform, samples)
            loss = self._distillation(loss, log_probs, steps, batch.tokens, heard)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(samples))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep what was said and what was recognised."""
        heard, steps = self.recogniser(batch.waveform, batch.samples)
        log_probs = self.rarity(heard)
        loss = self._loss(log_probs, steps, batch)
        self.log("valid/loss", loss, batch_size=len(batch.samples))
        for text, row, count in zip(batch.texts, log_probs.cpu().numpy(), steps, strict=True):
            ids = decode.greedy(row[:count]).ids
            self._pairs.append((normalise(text), self.recogniser.tokenizer.decode(ids)))

    def on_validation_epoch_end(self) -> None:
        """Log the error rates of greedy decoding."""
        references, hypotheses = zip(*self._pairs, strict=True)
        self._pairs.clear()
        right = sum(a == b for a, b in zip(references, hypotheses, strict=True))
        words = sum(metrics.word_counts(references, hypotheses), metrics.Counts())
        characters = sum(metrics.character_counts(references, hypotheses), metrics.Counts())
        self.log("valid/wer", words.errors / max(words.reference, 1), prog_bar=True)
        self.log("valid/cer", characters.errors / max(characters.reference, 1))
        self.log("valid/accuracy", right / len(references), prog_bar=True)

    def _stream_loss(
        self,
        log_probs: Float[Tensor, "batch steps tokens"],
        steps: Int[Tensor, " batch"],
        samples: Int[Tensor, " batch"],
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """Give the loss, over each piece's own steps where the batch says which they are."""
        if batch.pieces is None:
            return self._loss(log_probs, steps, batch)
        front_end = self.recogniser.front_end
        # The speed moved everything by the share by which it changed the length.
        moved = batch.samples / samples.clamp(min=1)
        inside = torch.arange(batch.ids.shape[1], device=steps.device) < batch.tokens[:, None]
        return aligned_loss(
            log_probs,
            steps,
            batch.pieces,
            batch.ids[inside],
            moved * front_end.stack * front_end.shift_samples,
        )

    @staticmethod
    def _loss(
        log_probs: Float[Tensor, "batch steps tokens"], steps: Int[Tensor, " batch"], batch: Batch
    ) -> Float[Tensor, ""]:
        return nn.functional.ctc_loss(
            log_probs.float().transpose(0, 1),
            batch.ids,
            steps,
            batch.tokens,
            # A faster speed can leave fewer steps than the target needs.
            zero_infinity=True,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the recogniser."""
        checkpoint["linnet"] = {**self.recogniser.description(), "record": self._record}
