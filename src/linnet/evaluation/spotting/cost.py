"""What a form of a model takes: the highest memory of a process that does nothing else.

open, path -> a fresh process: load, listen to some seconds -> peak memory
"""

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

_SECONDS = 5
_KILOBYTES = 1024
_STATUS = Path("/proc/self/status")


def peak_memory_mb(opened: Callable[[Path], Any], path: Path) -> float:
    """Give the peak of the resident memory, in MB, of a process that opens a model and listens.

    Args:
        opened: gives the model of ``path``, alone or first of several; a function of a module.
        path: what it opens.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
        return alone.submit(_peak, opened, path).result()


def _peak(opened: Callable[[Path], Any], path: Path) -> float:
    found = opened(path)
    model = found[0] if isinstance(found, tuple) else found
    model.log_probs(np.zeros(_SECONDS * model.sample_rate, np.float32))
    if _STATUS.is_file():
        # What getrusage says on Linux begins with the memory of the process that started this one.
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / _KILOBYTES
    import resource  # there is none on Windows, where the rest of Linnet runs

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # macOS counts bytes, others kilobytes.
    return peak / _KILOBYTES / (_KILOBYTES if sys.platform == "darwin" else 1)
