"""Configuration: the settings of a verb, composed by Hydra, and how a command line writes them.

    key=value ... -> quoted where they are paths -> Hydra composes -> settings

It imports nothing heavy, so that a command that only names a model answers at once.
"""

import importlib.resources
import re
from pathlib import Path
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.utils import instantiate
from omegaconf import DictConfig

from linnet.errors import ConfigError

# Settings that are paths, by the name under which the configuration has them. A path of a model
# goes by another name, because ``model`` is also a group of settings.
_PATHS = {
    "checkpoint": "checkpoint",
    "output": "output",
    "model": "model.path",
    "teacher": "teacher",
    "start": "start",
    "negatives": "negatives",
}


def folder() -> Path:
    """Give the folder of the configuration: in the wheel, or beside the sources."""
    package = Path(str(importlib.resources.files("linnet")))
    packed = package / "conf"
    return packed if packed.is_dir() else package.parents[1] / "conf"


def quoted(argument: str, verb: str) -> str:
    """Let a path hold what Hydra's grammar would read as its own (=, spaces, commas)."""
    key, _, value = argument.partition("=")
    if key not in _PATHS or value[:1] in ("'", '"', "") or (key == "model" and verb == "train"):
        return argument
    return f"{_PATHS[key]}={literal(value)}"


def literal(value: object) -> str:
    """Give ``value`` as Hydra's command line reads it."""
    if isinstance(value, str):
        # A backslash is itself, except in front of a quote.
        doubled = re.sub(r"\\+(?='|$)", lambda slashes: 2 * slashes[0], value)
        return "'" + doubled.replace("'", "\\'") + "'"
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{literal(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    return "null" if value is None else str(value).lower()


def path_given(argv: list[str], key: str, verb: str) -> Path:
    """Give the path that the command names with ``key=``.

    Raises:
        ConfigError: it names none.
    """
    name = f"{_PATHS[key]}="
    given = [argument.removeprefix(name) for argument in argv if argument.startswith(name)]
    if not given or not given[-1]:
        raise ConfigError(f"{key}=PATH is missing; see: linnet {verb} --help")
    return Path(_unquoted(given[-1]))


def checkpoint(settings: DictConfig, key: str, *, does: str) -> Path | None:
    """Give the checkpoint that setting ``key`` names; None if it names none.

    Raises:
        ConfigError: it is empty: an experiment that ``does`` something with it leaves it to the
            command.
    """
    named = settings[key]
    if named == "":
        raise ConfigError(f"this training {does}: add {key}=PATH, a checkpoint of linnet train")
    return None if named is None else Path(named)


def _unquoted(value: str) -> str:
    """Undo ``literal`` of a text."""
    parsed = OverridesParser.create().parse_override(f"given={value}").value()
    return str(parsed)


def compose(verb: str, overrides: list[str]) -> DictConfig:
    """Give the configuration that ``overrides`` make, without running anything."""
    with hydra.initialize_config_dir(str(folder()), version_base="1.3"):
        return hydra.compose(verb, overrides)


def build(settings: DictConfig, **more: object) -> Any:  # noqa: ANN401 - what the settings name
    """Give the object that settings describe, of plain lists and dicts: no object sees settings.

    Args:
        settings: with a ``_target_``, or several of such.
        more: arguments that the settings do not hold.
    """
    return instantiate(settings, _convert_="all", **more)
