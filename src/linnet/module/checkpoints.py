"""Checkpoints: what is saved is loaded, and what could harm is refused."""

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from linnet.errors import LinnetError, ModelError
from linnet.files import beside
from linnet.module.recogniser import FORMAT, Recogniser, recogniser

_PREFIX = "recogniser."  # the attribute of ``Training`` that has the weights
_STOPS = (signal.SIGINT, signal.SIGTERM)
# What reading a damaged pickle can raise, by the documentation of pickle and by trial.
_UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def load(path: Path) -> tuple[Recogniser, dict[str, Any]]:
    """Load the recogniser of a checkpoint, ready for use, and the record of its training.

    Raises:
        ModelError: as ``load_to_train`` raises it.
    """
    model, record = load_to_train(path)
    model.eval()
    model.network = model.network.plain()
    return model, record


def load_to_train(path: Path) -> tuple[Recogniser, dict[str, Any]]:
    """Load the recogniser of a checkpoint as it was trained, and the record of its training.

    Raises:
        ModelError: the file is missing, damaged, no checkpoint of Linnet, of another format, or
            holds objects (a pickle that could run code).
    """
    if not path.is_file():
        raise ModelError(
            f"{path}: there is no such checkpoint; expected a .ckpt file of linnet train"
        )
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: refused, because it is damaged or holds objects that could run code; "
            f"expected a checkpoint of linnet train"
        ) from error
    except _UNREADABLE as error:
        raise ModelError(
            f"{path}: cut short, or no checkpoint at all; expected a .ckpt file of linnet train"
        ) from error
    description = checkpoint.get("linnet") if isinstance(checkpoint, dict) else None
    if description is None:
        raise ModelError(f"{path}: a checkpoint, but not one that linnet train wrote")
    if description["format"] != FORMAT:
        raise ModelError(
            f"{path}: checkpoint format {description['format']}, but this version of Linnet reads "
            f"format {FORMAT}; train it again or use the version that wrote it"
        )
    state = checkpoint["state_dict"]
    weights = {
        name.removeprefix(_PREFIX): state[name] for name in state if name.startswith(_PREFIX)
    }
    try:
        model = recogniser(description)
        model.load_state_dict(weights)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: its weights and its description differ ({reason})") from error
    return model, description["record"]


def save(model: Recogniser, path: Path, record: dict[str, Any]) -> None:
    """Write a checkpoint that was not trained: as training leaves one, less what resuming needs.

    Raises:
        LinnetError: it cannot be written.
    """
    weights = {f"{_PREFIX}{name}": value for name, value in model.state_dict().items()}
    described = {**model.description(), "record": record}
    try:
        _write({"state_dict": weights, "linnet": described}, path)
    except (OSError, RuntimeError) as error:
        raise LinnetError(
            f"{path}: the checkpoint cannot be written ({error}); name another place or make room"
        ) from error


class CheckpointFile(TorchCheckpointIO):
    """Writes a checkpoint beside its place and renames it: a full disk or a kill loses nothing."""

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: object = None,
    ) -> None:
        """Save ``checkpoint`` at ``path``; a Ctrl-C meanwhile is raised when it is saved.

        Raises:
            LinnetError: it cannot be written.
        """
        try:
            _write(checkpoint, Path(path))
        except (OSError, RuntimeError) as error:
            raise LinnetError(
                f"{path}: could not save the checkpoint ({error}); the last complete one is kept, "
                f"make room and go on with resume=true"
            ) from error


def _write(checkpoint: dict[str, Any], path: Path) -> None:
    """Write a checkpoint beside its place and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _interrupts_wait(), beside(path) as draft, draft.open("wb") as file:
        torch.save(checkpoint, file)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold what stops a run back to the end: torch's writer, interrupted, can take it down.

    Python gives signals to the main thread alone, so another one has none to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    earlier = {one: signal.signal(one, lambda number, _: came.append(number)) for one in _STOPS}
    try:
        yield
    finally:
        for one, handler in earlier.items():
            signal.signal(one, handler)
        if came:
            signal.raise_signal(came[0])
