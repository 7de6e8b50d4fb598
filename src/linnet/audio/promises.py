"""What the header of a recording promises, held against what is there.

libsndfile reads a file that was cut off as a shorter one. Each container tells its length in a way
of its own: WAV and its like in bytes, Ogg by the flag of its last page, MP3 by a tag or not at all.
"""

import io
import re

import soundfile

from linnet.errors import AudioError

_UNKNOWN_LENGTH = 0x7FFF0000  # what a program that writes to a pipe puts where a length belongs
_PROMISED = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE
)
MPEG_FRAME = 1152  # samples: a length that an MP3 file states may be off by less than one frame
_MPEG_HEADER = re.compile(rb"\xff([\xe2\xe3\xf2\xf3\xfa\xfb])(.)", re.DOTALL)  # of layer III
_MPEG_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
_MPEG_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG_KBPS = (  # of layer III, by whether it is MPEG 1 and by index
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),
)
_OGG_TAIL = 1 << 16  # bytes: no page of an Ogg stream is longer
_OGG_HEADER = 27  # bytes of a page before its segment table (RFC 3533, section 6)
_OGG_LAST_PAGE = 4  # the flag of a stream's last page


def check_ogg_end(stream: io.BufferedIOBase, name: str) -> None:
    """Refuse an Ogg stream whose last page is not all there or not marked as the last.

    Its decoder takes such a stream for a shorter one (RFC 3533, section 6).
    """
    stream.seek(0)
    if stream.read(4) != b"OggS":
        return
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _OGG_TAIL))
    tail = stream.read()
    page = tail[tail.rfind(b"OggS") :]
    whole = len(page) >= _OGG_HEADER and page.startswith(b"OggS")
    if whole:
        segments = page[_OGG_HEADER : _OGG_HEADER + page[26]]
        whole = len(page) == _OGG_HEADER + page[26] + sum(segments)
    if not whole or not page[5] & _OGG_LAST_PAGE:
        raise AudioError(f"{name}: the file is cut off: the Ogg stream ends before its last page")


def check_promise(file: soundfile.SoundFile, name: str) -> None:
    """Refuse a file that is shorter than its header says (libsndfile reads what there is)."""
    for promised, present in _PROMISED.findall(file.extra_info):
        if int(present) + 1 < int(promised) < _UNKNOWN_LENGTH:
            raise AudioError(
                f"{name}: the file is cut off: its header promises {promised} bytes, "
                f"there are {present}"
            )
    if not file.frames:
        raise AudioError(f"{name}: the file holds no samples")


def check_mp3_length(file: soundfile.SoundFile, content: bytes, name: str) -> None:
    """Refuse an MP3 file of variable bit rate that does not state its length.

    Its decoder guesses the length from the first frame, and stops there if that is too short.
    """
    first, present = _mpeg_frames(content)
    if any(tag in first for tag in _MPEG_LENGTH_TAGS):
        return
    if abs(present - file.frames) > 3 * MPEG_FRAME:  # encoders pad by up to three frames
        raise AudioError(
            f"{name}: the MP3 file does not state its length; it was taken for {file.frames} "
            f"samples and holds {present}; convert it to WAV or FLAC"
        )


def _mpeg_frames(content: bytes) -> tuple[bytes, int]:
    """Give the first frame of an MP3 stream and the samples of all (ISO/IEC 11172-3, 2.4.1)."""
    begin = samples = 0
    if content.startswith(b"ID3"):  # a tag, whose size has seven bits a byte
        begin = 10 + sum(byte << 7 * (3 - i) for i, byte in enumerate(content[6:10]))
    first, position = b"", begin
    while header := _MPEG_HEADER.match(content, position):
        second, third = header[1][0], header[2][0]
        version, rate_index = second >> 3 & 3, third >> 2 & 3
        kbps = _MPEG_KBPS[version == 3][third >> 4]
        if version not in _MPEG_RATES or rate_index == 3 or not kbps:
            break
        of_frame = MPEG_FRAME if version == 3 else MPEG_FRAME // 2
        sample_rate = _MPEG_RATES[version][rate_index]
        position += of_frame // 8 * kbps * 1000 // sample_rate + (third >> 1 & 1)
        samples += of_frame
        first = first or content[begin:position]
    return first, samples
