"""What the user wrote, checked before any work: a mistake is one line with the nearest valid name.

    overrides -> keys, options, types checked -> settings -> constructors checked

Hydra reports a misspelt key with a page of text. ``check`` needs no heavy import, so it answers at
once.
"""

import difflib
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from linnet.apps.config import compose, folder
from linnet.errors import ConfigError

_PASSED_ON = ("hydra.", "hydra/")


def nearest(name: str, names: Iterable[str]) -> str:
    """Give a hint at the valid name nearest to ``name``, or all names if none is near."""
    known = sorted(names)
    # A key in the wrong place: its last part may exist elsewhere.
    last = name.rpartition(".")[2]
    close = [key for key in known if key.rpartition(".")[2] == last]
    close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def check(verb: str, arguments: list[str]) -> None:
    """Raise ConfigError at the first key, option or type in ``arguments`` that ``verb`` lacks."""
    try:
        overrides = OverridesParser.create().parse_overrides(arguments)
    except HydraException as error:
        raise ConfigError(f"{str(error).splitlines()[0]}; write key=value") from error
    ours = [one for one in overrides if not one.key_or_group.startswith(_PASSED_ON)]
    groups = [one for one in ours if _is_group(one)]
    for one in groups:
        _check_option(one)
    added = [one for one in ours if one.is_force_add()]
    settings = _flat(_composed(verb, [*groups, *added]))
    for one in ours:
        if not _is_group(one):
            _check_setting(one, settings)
    # Values that stand in each other's way only show when all are put together.
    _flat(_composed(verb, [one for one in ours if not one.is_sweep_override()]))


def _is_group(override: Override) -> bool:
    return (folder() / override.key_or_group).is_dir()


def _values(override: Override) -> list[Any]:
    """Give the value of ``override``, or all values of a sweep."""
    if override.is_sweep_override():
        return list(override.sweep_iterator())
    return [override.value()]


def _check_option(override: Override) -> None:
    options = {path.stem for path in (folder() / override.key_or_group).glob("*.yaml")}
    for option in map(str, _values(override)):
        if option not in {*options, "None"}:
            raise ConfigError(
                f"{override.key_or_group}={option}: there is no such option; "
                f"{nearest(option, options)}"
            )


def _composed(verb: str, overrides: list[Override]) -> DictConfig:
    fixed = [one.input_line for one in overrides if not one.is_sweep_override()]
    try:
        return compose(verb, [str(line) for line in fixed])
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(str(error).splitlines()[0]) from error


def _flat(node: object, prefix: str = "") -> dict[str, Any]:
    """Give all settings by their dotted names; a list counts as one value."""
    if not isinstance(node, DictConfig):
        return {prefix.removesuffix("."): node}
    flat: dict[str, Any] = {prefix.removesuffix("."): node} if prefix else {}
    for key in map(str, node):
        try:
            value = None if OmegaConf.is_missing(node, key) else node[key]
        except OmegaConfBaseException as error:
            raise ConfigError(f"{prefix}{key}: {str(error).splitlines()[0]}") from error
        flat.update(_flat(value, f"{prefix}{key}."))
    return flat


def _check_setting(override: Override, settings: dict[str, Any]) -> None:
    key = override.key_or_group
    if override.is_add() or override.is_force_add():
        return
    if key not in settings:
        groups = {path.name for path in folder().iterdir() if path.is_dir()}
        raise ConfigError(f"{key}: there is no such setting; {nearest(key, {*settings, *groups})}")
    if override.is_delete():
        return
    default = settings[key]
    for value in _values(override):
        if not _alike(value, default):
            raise ConfigError(
                f"{key}={value}: expected {_kind(default)} like {default}, got {_kind(value)}"
            )


def _alike(value: object, default: object) -> bool:
    """Whether ``value`` can stand where ``default`` stands."""
    if default is None or value is None or _kind(value) == _kind(default):
        return True
    return _kind(default) == "a number" and _kind(value) == "a whole number"


def _kind(value: object) -> str:
    kinds: list[tuple[type | tuple[type, ...], str]] = [
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (DictConfig, "a group of settings"),
        (dict, "a group of settings"),
    ]
    if OmegaConf.is_list(value) or isinstance(value, list):
        return "a list"
    return next((name for kind, name in kinds if isinstance(value, kind)), "a text")


def targets(node: object, prefix: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Give every group of settings that names a class, with its dotted name."""
    if isinstance(node, DictConfig):
        if "_target_" in node:
            yield prefix.removesuffix("."), node
        for key in map(str, node):
            if not OmegaConf.is_missing(node, key):
                yield from targets(node[key], f"{prefix}{key}.")


def check_targets(settings: DictConfig) -> None:
    """Compare every group of settings with the constructor that it feeds.

    Raises:
        ConfigError: a setting that the constructor does not take, or a value of a wrong type.
    """
    from beartype import BeartypeConf
    from beartype.door import is_bearable

    numbers = BeartypeConf(is_pep484_tower=True)
    for name, node in targets(settings):
        target = hydra.utils.get_object(node["_target_"])
        parameters = inspect.signature(target).parameters
        for key in map(str, node):
            # The stack of a model is the front-end's, which stacks the frames.
            if key.startswith("_") or (name == "model" and key == "stack"):
                continue
            if OmegaConf.is_missing(node, key):
                continue
            if key not in parameters:
                raise ConfigError(
                    f"{name}.{key}: {node['_target_']} has no such setting; "
                    f"{nearest(key, parameters)}"
                )
            value = node[key]
            if next(targets(value), None):
                continue  # objects by then; each is compared with its own constructor
            if OmegaConf.is_config(value):
                value = OmegaConf.to_container(value, resolve=True)
            hint = parameters[key].annotation
            if hint is not inspect.Parameter.empty and not is_bearable(value, hint, conf=numbers):
                raise ConfigError(f"{name}.{key}={value!r}: expected {hint}")
