"""What a training goes on from: the weights of a checkpoint, if it is the same kind of model.

start=PATH -> recogniser -> same tokens, front-end and network? -> its weights, its record
"""

from typing import Any

from omegaconf import DictConfig

from linnet.apps import config
from linnet.errors import ConfigError
from linnet.module import Recogniser, load_to_train

_FREE = "dropout"  # may differ: it has no weights


def begin(settings: DictConfig, model: Recogniser) -> dict[str, Any] | None:
    """Give ``model`` the weights of the checkpoint that the settings name, if they name one.

    Returns:
        The record of the training that left the checkpoint.

    Raises:
        ConfigError: the checkpoint is still to be named, or is a model of another kind.
        ModelError: it is no checkpoint.
    """
    path = config.checkpoint(settings, "start", does="goes on from another training")
    if path is None:
        return None
    begun, record = load_to_train(path)
    difference = _tokens(model, begun) or _settings(model, begun)
    if difference:
        raise ConfigError(
            f"start={path}: {difference}; give the settings that it was trained with, or "
            "leave out start"
        )
    model.load_state_dict(begun.state_dict())
    return record


def _tokens(model: Recogniser, begun: Recogniser) -> str | None:
    ours, theirs = model.tokenizer.tokens, begun.tokenizer.tokens
    if ours == theirs:
        return None
    more, less = (
        ", ".join(repr(token) for token in some if token not in other) or "none"
        for some, other in ((theirs, ours), (ours, theirs))
    )
    return f"its tokens are not those here (only there: {more}; only here: {less})"


def _settings(model: Recogniser, begun: Recogniser) -> str | None:
    ours, theirs = (one.description() for one in (model, begun))
    for part in ("front_end", "network"):
        for name in {**ours[part], **theirs[part]}:
            here, there = (one[part].get(name) for one in (ours, theirs))
            if name != _FREE and here != there:
                return f"its {part}.{name} is {there}, here it is {here}"
    return None
