"""Where a benchmark ran: processor, versions, commit."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from linnet.apps.source_tree import git

_RECORDED = (
    "kaldi-native-fbank",
    "lhotse",
    "librosa",
    "lightning",
    "linnet",
    "numpy",
    "onnxruntime",
    "openvino",
    "sherpa-onnx",
    "soundfile",
    "torch",
    "torchaudio",
)


def cores() -> int:
    """Give how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load() -> float | None:
    """Give the load average of the last minute: above 0 the machine has other work."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def description() -> dict[str, Any]:
    """Give machine, versions and commit as plain values."""
    return {
        "processor": _processor(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _RECORDED},
        "commit": git("rev-parse", "HEAD"),
        "modified": bool(git("status", "--porcelain", "--untracked-files=no")),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
