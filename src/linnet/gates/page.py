"""The page: one HTML file with all pictures inside that asks nobody for anything.

    Inspection -> pictures in both themes, sentences -> page.html.j2 -> HTML

All text is escaped, whatever a file is called; the page's own policy forbids it to load anything.
"""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

import soundfile

from linnet.gates import pictures, words
from linnet.gates.inspection import Clip, Inspection
from linnet.plots import Theme

_TEMPLATE = "page.html.j2"
# Tokens and units that still can be read in one picture.
_MOST_TOKENS = 24
_UNITS = {6: 8, 12: 5, _MOST_TOKENS: 3}  # most tokens: units drawn for each
# A longer recording is cut for listening: the page must stay small.
_LONGEST_SOUND_S = 20


@dataclass(frozen=True)
class Picture:
    """A picture in both themes, with words for those who do not see it."""

    name: str
    light: bytes
    dark: bytes
    words: str

    @property
    def light_uri(self) -> str:
        """The picture on white paper, as the page holds it."""
        return _uri(self.light, "image/png")

    @property
    def dark_uri(self) -> str:
        """The picture on dark paper, as the page holds it."""
        return _uri(self.dark, "image/png")


@dataclass(frozen=True)
class Chapter:
    """A part of the page: its title, what it says, and pictures, each under a line of its own."""

    title: str
    sentences: list[str]
    pictures: list[tuple[str, str, Picture]]


def chapters(found: Inspection) -> list[Chapter]:
    """Give the parts of the page in their order; one that has nothing to show is left out."""
    clip, symbols = found.clip, found.symbols
    scales = found.scales_s()
    heard = _picture("heard", "Spectrogram with the tokens heard", pictures.listened, clip, symbols)
    parts = [Chapter("What was heard", [], [("", "", heard)])]
    gated = any(trace.carry is not None for trace in clip.traces)
    shown = []
    if gated:
        kept = _picture("carried", "What each layer carried", pictures.kept, clip, symbols)
        shown.append(("Carried or overwritten", "Mean share of the old state that is kept.", kept))
    if clip.traces[0].gates:
        curves = _picture("openness", "Mean of each gate", pictures.openness, clip, symbols)
        shown.append(("Openness", "Mean of each gate over the units of a layer.", curves))
    parts.append(
        Chapter("What the gates did", [*words.of_gates(found), *words.of_time(found)], shown)
    )
    each = [
        (
            trace.direction.name.capitalize(),
            words.of_units(trace, own),
            _picture(
                trace.direction.name.replace(" ", "_"),
                f"Gates of each unit of {trace.direction.name}",
                pictures.units,
                *(clip, trace, own, symbols),
            ),
        )
        for trace, own in zip(clip.traces, scales, strict=True)
    ]
    order = "The unit with the longest memory on top; beside it, how long each unit remembers."
    parts.append(Chapter("Every unit", [order] if gated else [], each))
    if gated:
        longest_s = max(one.duration_s for one in found.clips)
        histogram = _picture(
            *("time_scales", "Histogram of time scales", pictures.memories),
            *(clip.traces, scales, clip.step_s, longest_s),
        )
        parts.append(
            Chapter(
                "How long units remember", words.of_scales(found, scales), [("", "", histogram)]
            )
        )
    return [*parts, _answers(found), *_reach(found)]


def render(found: Inspection, parts: list[Chapter]) -> str:
    """Give the page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = resources.files(__package__).joinpath(_TEMPLATE).read_text("utf-8")
    return environment.from_string(source).render(
        found=found, chapters=parts, sound=_sound(found.clip), kind=words.kind(found.cell)
    )


def _answers(found: Inspection) -> Chapter:
    said = [token for clip in found.clips for token, _, _ in clip.heard]
    answers = found.answers()
    tokens = [token for token in dict.fromkeys(said) if token in answers[0]][:_MOST_TOKENS]
    shown = []
    if tokens:
        each = next(units for most, units in _UNITS.items() if len(tokens) <= most)

        def draw(*, theme: Theme) -> bytes:
            return pictures.answering(
                found.clip.traces, answers, tokens, found.symbols, each=each, theme=theme
            )

        shown = [("", "", _picture("answers", "Units that answer to tokens", draw))]
    return Chapter("Which unit answers to which token", words.of_answers(found), shown)


def _reach(found: Inspection) -> list[Chapter]:
    if not found.reaches:
        return []
    drawn = _picture(
        *("reach", "Gradient over distance", pictures.reaching, found.reaches, found.clip.step_s)
    )
    return [Chapter("How far back an answer depends", words.of_reach(found), [("", "", drawn)])]


def _picture(name: str, said: str, draw: Callable[..., bytes], *given: object) -> Picture:
    return Picture(name, draw(*given, theme="light"), draw(*given, theme="dark"), said)


def _sound(clip: Clip) -> str:
    """Give the recording as FLAC, which every browser plays."""
    sound = io.BytesIO()
    waveform = clip.waveform[: _LONGEST_SOUND_S * clip.sample_rate]
    soundfile.write(sound, waveform, clip.sample_rate, format="FLAC", subtype="PCM_16")
    return _uri(sound.getvalue(), "audio/flac")


def _uri(content: bytes, media: str) -> str:
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
