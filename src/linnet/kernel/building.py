"""Compiling the fused operator: once for each torch and kind of processor, then kept.

compiler? -> torch's extension loader -> torch.ops.linnet, or a line that says why not
"""

import functools
import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("fused_gru.cpp")
# What torch calls the vectors of a processor -> how they are compiled. Others: plain C++.
_VECTORS = {
    "AVX2": ["-mavx2", "-mfma", "-DCPU_CAPABILITY_AVX2"],
    "AVX512": [
        *("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma"),
        "-DCPU_CAPABILITY_AVX512",
    ],
}


@functools.cache
def available() -> bool:
    """Tell whether the operator can be used, compiling it if need be; says once why it cannot."""
    reason = problem()
    if reason is not None:
        sys.stderr.write(f"the fused GRU is not used, nn.GRU trains instead: {reason}\n")
    return reason is None


@functools.cache
def problem() -> str | None:
    """Give why the operator cannot be used, None if it can."""
    with _without_advice():
        return _load()


def _load() -> str | None:
    # The loader imports setuptools and looks for compilers, which only this needs.
    from torch.utils import cpp_extension

    capability = torch.backends.cpu.get_cpu_capability()
    flags = ["-O3", "-fopenmp", f"-DCPU_CAPABILITY={capability}", *_VECTORS.get(capability, [])]
    # The name decides whether what was compiled before is taken: all that it depends on is in it.
    content = SOURCE.read_bytes() + " ".join([torch.__version__, *flags]).encode()
    name = f"linnet_gru_{hashlib.sha256(content).hexdigest()[:12]}"
    try:
        cpp_extension.load(
            name,
            [str(SOURCE)],
            extra_cflags=flags,
            extra_ldflags=["-fopenmp"],
            is_python_module=False,
        )
    except (ImportError, OSError, RuntimeError) as error:
        return str(error).strip().splitlines()[0]
    return None


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep the loader's remarks about CUDA, which this does not use, away from the user."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
