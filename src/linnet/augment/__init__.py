"""Augmentation, batched on the device: what training changes so that the network learns the word.

    waveform -> speed -> time shift -> speech effects -> noise -> channel effects -> gain
             -> log-mel -> warp -> masks

Every clip of a batch draws its own values (the speed is drawn once a batch, so that one resampling
serves all). Random numbers come from torch's global generator, which training seeds for each step.

``speech_effects`` in ``conf/augment`` name effects on the voice (:class:`Pitch`, :class:`Babble`,
:class:`Room`), ``channel_effects`` what comes after the microphone (:class:`Equaliser`,
:class:`Telephone`, :class:`Codec`). A new one is a subclass of :class:`Effect`.
"""

from linnet.augment.channel import Codec, Equaliser, Telephone
from linnet.augment.effects import Effect
from linnet.augment.mel import SpecAugment, Warp
from linnet.augment.room import Room
from linnet.augment.voices import Babble, Pitch
from linnet.augment.waveform import Gain, WaveformAugment

__all__ = [
    "Babble",
    "Codec",
    "Effect",
    "Equaliser",
    "Gain",
    "Pitch",
    "Room",
    "SpecAugment",
    "Telephone",
    "Warp",
    "WaveformAugment",
]
