"""Compiling the fused operator: once for each torch and kind of processor, then kept.

    kept library? -> torch.ops.linnet;  else compiler? -> torch's extension loader -> kept library
    neither -> a line that says why

The library's name holds a digest of all that it depends on, and it is put in its place whole by
renaming: whoever finds it can load it, and nobody waits for another process that compiles.
"""

import functools
import hashlib
import logging
import os
import sys
import tempfile
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
    flags = _flags()
    content = SOURCE.read_bytes() + " ".join([torch.__version__, sys.platform, *flags]).encode()
    name = f"linnet_gru_{hashlib.sha256(content).hexdigest()[:12]}"
    library = _folder() / f"{name}.so"
    try:
        if library.is_file():
            torch.ops.load_library(str(library))
        else:
            _compile(name, flags, library)
    except (ImportError, OSError, RuntimeError) as error:
        return str(error).strip().splitlines()[0]
    return None


def _flags() -> list[str]:
    capability = torch.backends.cpu.get_cpu_capability()
    return ["-O3", "-fopenmp", f"-DCPU_CAPABILITY={capability}", *_VECTORS.get(capability, [])]


def _folder() -> Path:
    """Give where the library is kept: where torch keeps what it compiles, if that was said."""
    said = os.environ.get("TORCH_EXTENSIONS_DIR")
    if said:
        return Path(said)
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "linnet"


def _compile(name: str, flags: list[str], library: Path) -> None:
    """Compile and load the operator, and keep its library."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with _without_advice(), tempfile.TemporaryDirectory(dir=library.parent) as folder:
        # The loader imports setuptools and looks for compilers, which only this needs.
        from torch.utils import cpp_extension

        cpp_extension.load(
            name,
            [str(SOURCE)],
            extra_cflags=flags,
            extra_ldflags=["-fopenmp"],
            build_directory=folder,
            is_python_module=False,
        )
        (Path(folder) / library.name).replace(library)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep the loader's remarks about CUDA, which this does not use, away from the user."""
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
