"""Joining: several checkpoints become one whose posteriors are the mean of theirs.

checkpoints -> same front-end, same tokens? -> joined network, record of all -> checkpoint
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from linnet.errors import ConfigError
from linnet.joined import JoinedNetwork
from linnet.module.checkpoints import load, save
from linnet.module.recogniser import Recogniser
from linnet.streaming import StreamingNetwork


def join(paths: Sequence[Path], output: Path) -> Recogniser:
    """Write the checkpoint ``output``, which answers with the mean of the posteriors of others.

    Args:
        paths: of two checkpoints or more; the record of the first says what all were trained for.
        output: a file; one that is there is replaced.

    Raises:
        ConfigError: the checkpoints differ in front-end or tokens, one streams, or there is one.
        ModelError: one is no checkpoint.
        LinnetError: ``output`` cannot be written.
    """
    loaded = [load(path) for path in paths]
    models = [model for model, _ in loaded]
    for path, model in zip(paths, models, strict=True):
        if isinstance(model.network, StreamingNetwork):
            raise ConfigError(
                f"{path}: a network that streams; only those of whole clips are joined"
            )
        if difference := _difference(models[0], model):
            raise ConfigError(
                f"{path}: its {difference} differ from those of {paths[0]}; join what was trained "
                "with the same settings of front-end and tokenizer"
            )
    try:
        network = JoinedNetwork([model.network for model in models])
    except ValueError as error:
        raise ConfigError(str(error)) from error
    joined = Recogniser(models[0].front_end, network, models[0].tokenizer)
    save(joined, output, _together([record for _, record in loaded]))
    return joined


def training_speakers(*records: dict[str, Any]) -> list[str]:
    """Give whom the trainings of these records have heard."""
    return sorted({one for record in records for one in record.get("training_speakers", [])})


def _difference(ours: Recogniser, theirs: Recogniser) -> str | None:
    """Name the part of which two recognisers have not the same."""
    if ours.tokenizer.tokens != theirs.tokenizer.tokens:
        return "tokens"
    if ours.front_end.settings != theirs.front_end.settings:
        return "settings of the front-end"
    pairs = zip(ours.front_end.buffers(), theirs.front_end.buffers(), strict=True)
    return None if all(a.equal(b) for a, b in pairs) else "means and deviations of the features"


def _together(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give the record of the first, with those of the others in it."""
    first, *others = records
    heard = training_speakers(*records)
    return {**first, "joined_with": others, "training_speakers": heard}
