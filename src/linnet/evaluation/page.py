"""The page: a report as one HTML file that asks nobody for anything.

    Report -> numbers as text, pictures (light and dark) and sounds as data URIs -> report.html.j2

All text is escaped, whatever a transcript or a file name holds; the page's own policy forbids it to
load or run anything.
"""

import base64
import dataclasses
import io
from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any

from linnet import plots
from linnet.evaluation.report import Mistake, Report
from linnet.metrics import Figure

if TYPE_CHECKING:
    from jinja2 import Template
else:  # The checks at run time take it for an object: jinja2 is optional.
    Template = object

# Name, what it is, and whether a large value is a good one.
TITLES = {
    "wer": ("Word error rate", "errors per word of the references", False),
    "cer": ("Character error rate", "errors per character, spaces included", False),
    "sentence_accuracy": ("Whole utterances right", "every word as in the reference", True),
    "closed_set_accuracy": (
        "Commands right (closed set)",
        "the most probable command is the one said",
        True,
    ),
    "accuracy_with_rejection": (
        "Accuracy with rejection",
        "commands, other words and silence told apart",
        True,
    ),
}
CONFUSIONS = {"closed_set": "Commands", "with_rejection": "Commands, other words and silence"}
_TEMPLATE = "report.html.j2"
_PAIRS = 8
# A longer recording is cut for listening: the page must stay small.
_LONGEST_SOUND_S = 20


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture in both themes, with words for those who do not see it."""

    light: str
    dark: str
    words: str


def render(report: Report) -> str:
    """Give the page of a report."""
    return template(_TEMPLATE).render(
        report=report,
        timing=report.timing.rounded(),
        judged={
            "model": first(report.model, "name", "path"),
            "data": first(report.data, "name", "split"),
        },
        figures=[(*_title(name), figure, _bar(figure)) for name, figure in report.figures.items()],
        confusions=[
            {
                "title": CONFUSIONS.get(name, name),
                "picture": _confusion_picture(report, name),
                "pairs": confusion.pairs(_PAIRS),
                "classes": len(confusion.classes),
            }
            for name, confusion in report.confusion.items()
        ],
        mistakes=[
            (mistake, _mistake_picture(mistake), _sound(mistake)) for mistake in report.worst
        ],
        tables={
            name: flat(values)
            for name, values in {
                "Model": report.model,
                "Data": report.data,
                "Record": report.record,
            }.items()
            if values
        },
    )


def template(name: str) -> Template:
    """Give a template of this package: all text is escaped, and a name that is missing stops."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = percent
    environment.filters["share"] = "{:.2f}".format
    return environment.get_template(name)


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def percent(share: float) -> str:
    """Give a share as a percentage with one decimal."""
    return f"{100 * share:.1f}"


def first(values: Mapping[str, Any], *names: str) -> str:
    """Give the first of several settings that is there."""
    return next((str(values[name]) for name in names if name in values), "")


def _title(name: str) -> tuple[str, str]:
    title, explanation, high_is_good = TITLES.get(name, (name, "", True))
    return title, f"{explanation}; {'higher' if high_is_good else 'lower'} is better"


def _bar(figure: Figure) -> dict[str, float]:
    """Give the interval and the value as places from 0 to 100 (of 100 % or, if beyond, of all)."""
    scale = 100 / max(1.0, figure.high)
    return {
        "low": round(figure.low * scale, 2),
        "width": round(max(figure.high - figure.low, 0.01) * scale, 2),
        "value": round(figure.value * scale, 2),
    }


def _confusion_picture(report: Report, name: str) -> Picture:
    confusion = report.confusion[name]
    light, dark = (
        plots.confusion(confusion.matrix, confusion.classes, theme=theme)
        for theme in ("light", "dark")
    )
    words = f"Confusion matrix of {len(confusion.classes)} classes"
    return Picture(uri(light, "image/png"), uri(dark, "image/png"), words)


def _mistake_picture(mistake: Mistake) -> Picture:
    light, dark = (
        plots.listening(mistake.waveform, mistake.sample_rate, mistake.posteriors, theme=theme)
        for theme in ("light", "dark")
    )
    words = f"Spectrogram of {mistake.id} and the posteriors of its tokens"
    return Picture(uri(light, "image/png"), uri(dark, "image/png"), words)


def _sound(mistake: Mistake) -> str:
    """Give the recording as FLAC, which every browser plays; none where it is empty."""
    import soundfile

    waveform = mistake.waveform[: _LONGEST_SOUND_S * mistake.sample_rate]
    if not len(waveform):
        return ""
    sound = io.BytesIO()
    soundfile.write(sound, waveform, mistake.sample_rate, format="FLAC", subtype="PCM_16")
    return uri(sound.getvalue(), "audio/flac")


def uri(content: bytes, kind: str) -> str:
    """Give content that stands inside the page."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Give nested settings as lines of a table: ``network.hidden``, ``128``."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += flat(value, f"{prefix}{name}.")
        elif isinstance(value, list | tuple):
            lines.append((f"{prefix}{name}", ", ".join(map(str, value))))
        else:
            lines.append((f"{prefix}{name}", str(value)))
    return lines
