"""One side of ``infer``, in a process of its own: loads a model, answers, and is asked again.

    python -m benchmarks.answering linnet MODEL CLIP ANSWER     MODEL: a graph
    python -m benchmarks.answering torch  MODEL CLIP ANSWER     MODEL: weights and their settings
    python -m benchmarks.answering sherpa | openvino ...        MODEL: a graph

It writes its first answer to ANSWER, says so in a line, and then for each line with a number of
calls it gives the median of their seconds. When its input ends it gives its peak memory in MB.
The torch side imports no more than a loader written for speed would: neither Lightning nor lhotse.
"""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from jaxtyping import Float32, Shaped

from linnet import audio

Waveform = Float32[np.ndarray, " samples"]
Answer = Callable[[Waveform], Shaped[np.ndarray, "..."]]
_KILOBYTES_A_MEGABYTE = 1024


def linnet(path: Path) -> Answer:
    """Give Linnet's answer: onnxruntime, one thread."""
    from linnet import runtime

    return runtime.load(path, threads=1).log_probs


def torch_eager(path: Path) -> Answer:
    """Give the answer of the modules that were trained, one thread."""
    import torch

    from linnet.frontend import FrontEnd
    from linnet.streaming import network as build

    torch.set_num_threads(1)
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    front_end, network = FrontEnd(**content["front_end"]), build(content["network"])
    front_end.load_state_dict(content["front_end_weights"])
    network.load_state_dict(content["network_weights"])
    front_end.eval()
    network.eval()

    def log_probs(waveform: Waveform) -> Float32[np.ndarray, "steps tokens"]:
        with torch.inference_mode():
            batch, samples = torch.from_numpy(waveform)[None], torch.tensor([len(waveform)])
            return network(*front_end(batch, samples))[0].numpy()

    return log_probs


def sherpa(path: Path) -> Answer:
    """Give the token ids of sherpa-onnx, one thread; the tokens lie beside the graph."""
    import sherpa_onnx

    tokens = path.with_name("tokens.txt")
    ids = token_ids(tokens)
    recogniser = sherpa_onnx.OfflineRecognizer.from_omnilingual_asr_ctc(
        model=str(path), tokens=str(tokens), num_threads=1
    )

    def answer(waveform: Waveform) -> Shaped[np.ndarray, "..."]:
        stream = recogniser.create_stream()
        stream.accept_waveform(audio.SAMPLE_RATE, waveform)
        recogniser.decode_stream(stream)
        return np.array([ids[token] for token in stream.result.tokens], np.int64)

    return answer


def openvino(path: Path) -> Answer:
    """Give the answer of OpenVINO, one thread, in float32 as the others."""
    import openvino as ov

    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "INFERENCE_PRECISION_HINT": "f32",
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
    }
    compiled = ov.Core().compile_model(str(path), "CPU", settings)
    return lambda waveform: compiled(waveform[None])[0][0]


SIDES = {"linnet": linnet, "torch": torch_eager, "sherpa": sherpa, "openvino": openvino}


def token_ids(tokens: Path) -> dict[str, int]:
    """Give the id of each token in ``tokens.txt``, as sherpa-onnx calls it."""
    lines = tokens.read_text(encoding="utf-8").splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines)
    return {symbol.replace("\u2581", " "): int(number) for symbol, number in pairs}


def peak_memory() -> float:
    """Give the largest resident set of this process so far, in MB."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KILOBYTES_A_MEGABYTE
    # Where there is /proc, ru_maxrss starts at the size of the process that started this one.
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / _KILOBYTES_A_MEGABYTE


def main(side: str, model: str, clip: str, answer: str) -> None:
    """Answer as the module's first lines say."""
    log_probs = SIDES[side](Path(model))
    waveform = audio.read(clip)
    first = log_probs(waveform)
    print("ready", flush=True)
    np.save(answer, first)
    for line in sys.stdin:
        took = []
        for _ in range(int(line)):
            started = time.perf_counter()
            log_probs(waveform)
            took.append(time.perf_counter() - started)
        print(median(took), flush=True)
    print(peak_memory(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
