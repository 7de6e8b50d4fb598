"""Configuration: what the user wrote, checked before any work.

    argv -> overrides -> (keys, options, types checked) -> Hydra composes -> objects

Hydra reports a misspelt key with a page of text; here each mistake is one line that names the
nearest valid name. The checks need no heavy import, so they answer at once.
"""

import difflib
import importlib
import importlib.resources
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from linnet.errors import ConfigError, LinnetError

_TASKS = {
    "prepare": "linnet.apps.preparing",
    "train": "linnet.apps.training",
    "evaluate": "linnet.apps.evaluating",
    "calibrate": "linnet.apps.calibrating",
    "streams": "linnet.apps.stringing",
    "export": "linnet.apps.exporting",
}
_PASSED_ON = ("hydra.", "hydra/")
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


def nearest(name: str, names: Iterable[str]) -> str:
    """Give a hint at the valid name nearest to ``name``, or all names if none is near."""
    known = sorted(names)
    # A key in the wrong place: its last part may exist elsewhere.
    last = name.rpartition(".")[2]
    close = [key for key in known if key.rpartition(".")[2] == last]
    close = close or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def run(
    verb: str, argv: list[str], usage: str, complete: Callable[[list[str]], list[str]] | None = None
) -> int:
    """Check ``argv`` against the configuration of ``verb`` and let Hydra call its task with it.

    The task is ``run`` of the module that ``_TASKS`` names; it is imported after the check, because
    that takes seconds.

    Args:
        verb: names the configuration, ``conf/<verb>.yaml``.
        argv: settings as ``key=value``.
        usage: what ``--help`` prints before the settings.
        complete: adds the settings that only a model knows, once the others are checked.

    Raises:
        ConfigError: an unknown key or option, or a value of a wrong type.
    """
    if {"--help", "-h"} & set(argv):
        sys.stdout.write(f"{usage}\n{_choices(verb)}")
        return 0
    argv = [_quoted(argument, verb) for argument in argv]
    if complete is not None:
        # Which corpus the settings of ``data`` belong to is known only when the model is.
        check(verb, [one for one in _settings(argv) if not one.startswith("data.")])
        argv = complete(argv)
    check(verb, _settings(argv))
    task = importlib.import_module(_TASKS[verb]).run
    # Hydra then raises what the task raises, and the command line says it in one line.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = [f"linnet {verb}", *argv]
    failures: list[LinnetError] = []

    def guarded(settings: DictConfig) -> None:
        # Hydra would print its own account of what it sees raised.
        try:
            task(settings)
        except InstantiationException as error:
            # A constructor refused a value; its own words say why.
            failures.append(ConfigError(str(error.__cause__ or error).splitlines()[0]))
        except LinnetError as error:
            failures.append(error)

    try:
        hydra.main(version_base="1.3", config_path=str(folder()), config_name=verb)(guarded)()
    except HydraException as error:
        raise ConfigError(str(error).splitlines()[0]) from error
    if failures:
        raise failures[0]
    return 0


def _quoted(argument: str, verb: str) -> str:
    """Let a path hold what Hydra's grammar would read as its own (=, spaces, commas)."""
    key, _, value = argument.partition("=")
    if key not in _PATHS or value[:1] in ("'", '"', "") or (key == "model" and verb == "train"):
        return argument
    return f"{_PATHS[key]}={literal(value)}"


def literal(value: Any) -> str:  # noqa: ANN401 - any YAML value
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
        ConfigError: the experiment, which ``does`` something with it, leaves it to the command.
    """
    named = settings[key]
    if named == "":
        raise ConfigError(f"this experiment {does}: add {key}=PATH, a checkpoint of linnet train")
    return None if named is None else Path(named)


def _unquoted(value: str) -> str:
    """Undo ``literal`` of a text."""
    parsed = OverridesParser.create().parse_override(f"given={value}").value()
    return str(parsed)


def _choices(verb: str) -> str:
    """Give the groups of settings that ``verb`` composes, with their options."""
    defaults = OmegaConf.load(folder() / f"{verb}.yaml").defaults
    groups = [str(key) for entry in defaults if OmegaConf.is_dict(entry) for key in entry]
    lines = ["Groups of settings (GROUP=OPTION), each a file in the configuration:"]
    for group in groups:
        options = sorted(path.stem for path in (folder() / group).glob("*.yaml"))
        if options:
            lines.append(f"  {group + '=':<12}{' | '.join(options)}")
    lines.append("Every setting in them can be given as KEY=VALUE; --cfg job prints them all.\n")
    return "\n".join(lines)


def _settings(argv: list[str]) -> list[str]:
    """Give what is left of ``argv`` without Hydra's own options and their values."""
    return list(get_args_parser().parse_known_args(argv)[0].overrides)


def compose(verb: str, overrides: list[str]) -> DictConfig:
    """Give the configuration that ``overrides`` make, without running anything."""
    with hydra.initialize_config_dir(str(folder()), version_base="1.3"):
        return hydra.compose(verb, overrides)


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


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:  # noqa: ANN401 - any YAML value
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


def _alike(value: Any, default: Any) -> bool:  # noqa: ANN401 - any YAML value
    """Whether ``value`` can stand where ``default`` stands."""
    if default is None or value is None or _kind(value) == _kind(default):
        return True
    return _kind(default) == "a number" and _kind(value) == "a whole number"


def _kind(value: Any) -> str:  # noqa: ANN401 - any YAML value
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


def targets(node: Any, prefix: str = "") -> Iterator[tuple[str, DictConfig]]:  # noqa: ANN401
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
