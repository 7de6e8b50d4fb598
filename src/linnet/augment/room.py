"""Rooms: the echoes of a box-shaped room around the speaker and the microphone.

seed -> rooms, places -> image sources (Allen and Berkley 1979) -> a bank of impulse responses
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from linnet.augment.effects import Effect, filtered

_WALL_M = 0.3  # nearest to a wall that somebody stands
_ORDER = 17  # reflections that are followed; later ones are too many and too faint


class Room(Effect):
    """Echoes of one room of a bank, drawn for each clip.

    A response starts with the direct sound and has an energy of 1: neither time nor level change.

    Args:
        probability: share of the clips that are moved into a room.
        rooms: responses in the bank.
        reverberation_s: shortest and longest time in which the echoes fall by 60 dB.
        size_m: least and greatest length and width of a room.
        height_m: the same for its height.
        distance_m: least and greatest distance from mouth to microphone.
        sample_rate: in Hz.
        seed: of the bank.
    """

    responses: Tensor

    def __init__(
        self,
        *,
        probability: float,
        rooms: int,
        reverberation_s: Sequence[float],
        size_m: Sequence[float],
        height_m: Sequence[float],
        distance_m: Sequence[float],
        sample_rate: int,
        seed: int,
    ) -> None:
        super().__init__(probability=probability)
        draw = np.random.default_rng(seed)
        bank = []
        for _ in range(rooms if probability > 0 else 0):
            spans = np.array([size_m, size_m, height_m])
            size = draw.uniform(spans[:, 0], spans[:, 1])
            microphone = draw.uniform(_WALL_M, size - _WALL_M)
            distance, seconds = (
                float(draw.uniform(low, high)) for low, high in (distance_m, reverberation_s)
            )
            mouth = _mouth(microphone, size, distance, draw)
            bank.append(_response(size, mouth, microphone, seconds, sample_rate))
        longest = max(map(len, bank), default=0)
        padded = [np.pad(one, (0, longest - len(one))) for one in bank]
        responses = torch.from_numpy(np.array(padded, np.float32).reshape(len(bank), longest))
        self.register_buffer("responses", responses, persistent=False)

    def change(
        self, waveform: Float[Tensor, "batch samples"], samples: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch samples"]:
        """Give the clips as their rooms sound."""
        rooms = torch.randint(len(self.responses), (len(waveform),), device=waveform.device)
        return filtered(waveform, self.responses[rooms])


def _mouth(
    microphone: Float[np.ndarray, "3"],
    size: Float[np.ndarray, "3"],
    distance_m: float,
    draw: np.random.Generator,
) -> Float[np.ndarray, "3"]:
    """Draw a place at a distance from the microphone, moved into the room if it lies outside."""
    direction = draw.standard_normal(3)
    place = microphone + distance_m * direction / np.linalg.norm(direction)
    return np.clip(place, _WALL_M / 2, size - _WALL_M / 2)


def _response(
    size: Float[np.ndarray, "3"],
    mouth: Float[np.ndarray, "3"],
    microphone: Float[np.ndarray, "3"],
    seconds: float,
    sample_rate: int,
) -> Float32[np.ndarray, " taps"]:
    """Give an impulse response that starts with the direct sound and has an energy of 1."""
    import pyroomacoustics

    try:
        absorption, order = pyroomacoustics.inverse_sabine(seconds, size)
    except ValueError:  # so large a room cannot echo so shortly: its walls take all
        absorption, order = 0.99, 1
    room = pyroomacoustics.ShoeBox(
        size,
        fs=sample_rate,
        materials=pyroomacoustics.Material(min(absorption, 0.99)),
        max_order=min(order, _ORDER),
    )
    room.add_source(mouth)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0])
    response = response[np.abs(response).argmax() :]
    return np.asarray(response / np.linalg.norm(response), np.float32)
