"""Recordings: any file that soundfile reads becomes mono float32 at one sample rate, or an error.

    file, stream -> decode, naming every fault -> mean of the channels -> soxr -> clip to [-1, 1]

soundfile is forgiving where a training run must not be: a WAV file cut off in the middle opens
without a word, a Vorbis stream without its end as well, and a NaN spreads through a whole batch. So
the decoder compares what each header promises with what is there, and says which file is at fault.
"""

from linnet.audio.reading import (
    SAMPLE_RATE,
    Header,
    blocks,
    check,
    find,
    header,
    is_recording,
    read,
    resample,
    resampled,
)

__all__ = [
    "SAMPLE_RATE",
    "Header",
    "blocks",
    "check",
    "find",
    "header",
    "is_recording",
    "read",
    "resample",
    "resampled",
]
