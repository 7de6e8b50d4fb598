"""From a command line to the task of its verb.

argv -> checked -> Hydra composes -> the verb's task -> exit status
"""

import importlib
import os
import sys
from collections.abc import Callable

import hydra
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, InstantiationException
from omegaconf import DictConfig, OmegaConf

from linnet.apps.checking import check
from linnet.apps.config import folder, quoted
from linnet.errors import ConfigError, LinnetError

_TASKS = {
    "prepare": "linnet.apps.preparing",
    "train": "linnet.apps.training",
    "evaluate": "linnet.apps.evaluating",
    "calibrate": "linnet.apps.calibrating",
    "streams": "linnet.apps.stringing",
    "export": "linnet.apps.exporting",
}


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
    argv = [quoted(argument, verb) for argument in argv]
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
