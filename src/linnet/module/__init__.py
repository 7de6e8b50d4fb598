"""Training: front-end, network and CTC loss as one LightningModule, and the checkpoints it leaves.

    waveform -> augment -> log-mel -> augment -> cepstra -> network -> CTC loss -> AdamW, one cycle

A checkpoint holds plain values and tensors only (``weights_only=True`` loads it): under ``linnet``
the constructor arguments of front-end and network and the tokens, so that using it needs no
configuration.
"""

from linnet.module.checkpoints import CheckpointFile, load, load_to_train, save
from linnet.module.joining import join, training_speakers
from linnet.module.recogniser import FORMAT, Recogniser
from linnet.module.training import Training

__all__ = [
    "FORMAT",
    "CheckpointFile",
    "Recogniser",
    "Training",
    "join",
    "load",
    "load_to_train",
    "save",
    "training_speakers",
]
