"""The steps of training and validation, each seeded by its number."""

from collections.abc import Callable
from typing import Any, cast

import lightning
import torch
from jaxtyping import Float, Int
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from linnet import decode, metrics
from linnet.aligned import aligned_loss, stream_weights
from linnet.augment import Gain, SpecAugment, Warp, WaveformAugment
from linnet.data import Batch, Corpus
from linnet.distill import Distillation
from linnet.errors import ConfigError
from linnet.module.recogniser import Recogniser
from linnet.rarity import Rarity

# Spreads the steps of one seed over the generator's space: seeds 0 and 1 share no step.
_SEED_STRIDE = 1_000_003


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
        rarity: how many times rarer what is to be spotted is in use than in training.
        evenness: of what is strung together; at 0 every piece counts alike, at 1 every token.
        distillation: adds what teachers hear; without any the texts alone are learnt.
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
        evenness: float = 0.0,
        distillation: Distillation | None = None,
    ) -> None:
        super().__init__()
        self.recogniser = model
        self.rarity = Rarity(model.tokenizer, factor=rarity)
        self.rarity.start(model.network.head)
        if not 0 <= evenness <= 1:
            raise ConfigError(f"evenness={evenness} must lie between 0 and 1; 0 is usual")
        self._evenness = evenness
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
        optimizer = self._optimizer(self.recogniser.network.named_parameters())
        epochs = int(self.trainer.max_epochs or 1)
        # The trainer gets the attribute from a connector, of which its types do not tell.
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
        """Give the loss of one batch: negative log-likelihood, of clips per token."""
        model = self.recogniser
        waveform, samples = self.waveform_augment(batch.waveform, batch.samples)
        levelled = self.gain(model.front_end.level(waveform, samples))
        frames = model.front_end.frames(samples)
        log_mel = self.warp(model.front_end.log_mel(levelled, samples))
        log_mel = self.spec_augment(log_mel, frames)
        features, steps = model.front_end.from_log_mel(log_mel, frames)
        log_probs = model.network(features, steps)
        loss = self._stream_loss(self.rarity(log_probs), steps, samples, batch)
        loss = self._taught(
            loss, log_probs, steps, batch._replace(waveform=waveform, samples=samples)
        )
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(samples))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Keep what was said and what was recognised."""
        heard, steps = self.recogniser(batch.waveform, batch.samples)
        log_probs = self.rarity(heard)
        loss = self._taught(self._loss(log_probs, steps, batch), heard, steps, batch)
        self.log("valid/loss", loss, batch_size=len(batch.samples))
        told = self.recogniser.tokenizer.decode
        rows = zip(batch.ids, batch.tokens, log_probs.cpu().numpy(), steps, strict=True)
        for ids, tokens, row, count in rows:
            # What the tokens can tell of a text: words that sound alike are one to phonemes.
            said = told(ids[:tokens].tolist())
            self._pairs.append((said, told(decode.greedy(row[:count]).ids)))

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

    def _taught(
        self,
        loss: Float[Tensor, ""],
        log_probs: Float[Tensor, "batch steps tokens"],
        steps: Int[Tensor, " batch"],
        batch: Batch,
    ) -> Float[Tensor, ""]:
        """Give the loss with what teachers make of the batch, if there are any."""
        if self._distillation is None:
            return loss
        weights = stream_weights(batch.tokens, batch.pieces, evenness=self._evenness)
        heard = (batch.waveform, batch.samples)
        return self._distillation(loss, log_probs, steps, weights, heard)

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
            evenness=self._evenness,
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
