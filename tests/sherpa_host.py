"""sherpa-onnx in a process of its own: it ends the process when a model breaks its contract.

    python sherpa_host.py < request.json > answers.json

Runs on numpy and any sherpa-onnx, without Linnet. The request names the loader of sherpa-onnx and
its arguments, and WAV files of 16 bits; the answer holds version, tokens and times of each file.
"""

import json
import sys
import wave
from typing import Any

import numpy as np
import sherpa_onnx


def read(path: str) -> np.ndarray:
    with wave.open(path) as file:
        content = file.readframes(file.getnframes())
    return np.frombuffer(content, np.int16).astype(np.float32) / 32768


def offline(request: dict[str, Any]) -> list[Any]:
    loader = getattr(sherpa_onnx.OfflineRecognizer, request["loader"])
    recogniser = loader(**request["arguments"])
    streams = []
    for path in request["files"]:
        stream = recogniser.create_stream()
        stream.accept_waveform(16000, read(path))
        streams.append(stream)
    if request.get("batch"):
        recogniser.decode_streams(streams)
    else:
        for stream in streams:
            recogniser.decode_stream(stream)
    return [
        {"tokens": s.result.tokens, "times": s.result.timestamps, "text": s.result.text}
        for s in streams
    ]


def online(request: dict[str, Any]) -> list[Any]:
    recogniser = getattr(sherpa_onnx.OnlineRecognizer, request["loader"])(**request["arguments"])
    answers = []
    for path in request["files"]:
        stream = recogniser.create_stream()
        waveform = np.append(read(path), np.zeros(round(16000 * request["silence_s"]), np.float32))
        for start in range(0, len(waveform), 1600):
            stream.accept_waveform(16000, waveform[start : start + 1600])
            while recogniser.is_ready(stream):
                recogniser.decode_stream(stream)
        stream.input_finished()
        while recogniser.is_ready(stream):
            recogniser.decode_stream(stream)
        found = json.loads(recogniser.get_result_as_json_string(stream))
        answers.append({k: found[n] for k, n in (("tokens", "tokens"), ("times", "timestamps"))})
    return answers


def keywords(request: dict[str, Any]) -> list[Any]:
    spotter = sherpa_onnx.KeywordSpotter(**request["arguments"])
    answers = []
    for path in request["files"]:
        stream = spotter.create_stream()
        waveform = np.append(read(path), np.zeros(round(16000 * request["silence_s"]), np.float32))
        stream.accept_waveform(16000, waveform)
        stream.input_finished()
        found = []
        while spotter.is_ready(stream):
            spotter.decode_stream(stream)
            if keyword := spotter.get_result(stream):
                found.append(keyword)
                spotter.reset_stream(stream)
        answers.append(found)
    return answers


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    hosts = {"offline": offline, "online": online, "keywords": keywords}
    result = {"version": sherpa_onnx.__version__, "answers": hosts[asked["host"]](asked)}
    json.dump(result, sys.stdout)
