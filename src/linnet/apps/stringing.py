"""linnet streams: long recordings out of clips, to listen to and to spot in.

corpus -> streams of a split -> stream_0000.wav ..., spans.jsonl
"""

import json
from pathlib import Path

import soundfile
from omegaconf import DictConfig
from rich.console import Console

from linnet import sources
from linnet.apps import checking, config, corpus, listening
from linnet.evaluation import progress
from linnet.evaluation.spotting import Recording

_DECIMALS = 6


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet streams``."""
    checking.check_targets(settings)
    source: sources.Source = config.build(settings.data)
    examined = corpus.examined(settings.examine, source, (settings.split,))
    output = Path(settings.output)
    output.mkdir(parents=True, exist_ok=True)
    seconds, lines = 0.0, list[str]()
    for recording in progress(listening.made(settings, examined), total=None, doing="stringing"):
        path = output / f"{recording.id}.wav"
        soundfile.write(path, recording.waveform, recording.sample_rate, subtype="PCM_16")
        lines += _lines(recording, path.name)
        seconds += recording.duration_s
    (output / "spans.jsonl").write_text("".join(lines), encoding="utf-8")
    Console().print(
        f"{seconds / 3600:.2f} hours with {len(lines)} clips in {output}", soft_wrap=True
    )


def _lines(recording: Recording, file: str) -> list[str]:
    """Give a line for each clip, with the keys that linnet spot uses."""
    return [
        json.dumps(
            {
                "file": file,
                "text": span.text,
                "start": round(span.start_s, _DECIMALS),
                "end": round(span.end_s, _DECIMALS),
                "clip": span.id,
            },
            ensure_ascii=False,
        )
        + "\n"
        for span in recording.spans
    ]
