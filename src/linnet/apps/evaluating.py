"""linnet evaluate: judge a checkpoint or an exported model on the recordings of a corpus.

model, corpus -> posteriors -> figures with intervals -> report.json, report.html, a table
"""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console

from linnet import evaluation, sources
from linnet.apps import checking, config, corpus, judging
from linnet.errors import ConfigError, InputError
from linnet.text import normalise

_MOST_COMMANDS = 100


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet evaluate``."""
    checking.check_targets(settings)
    if settings.task not in _TASKS:
        raise ConfigError(f"task={settings.task}: {checking.nearest(settings.task, _TASKS)}")
    _TASKS[settings.task](settings)


def _recognition(settings: DictConfig) -> None:
    """Judge what is made of clips."""
    path = Path(settings.model.path)
    model, record = corpus.load_model(path)
    source: sources.Source = config.build(settings.data)
    examined = corpus.examined(settings.examine, source, (settings.split,))
    commands = _commands(settings, source)
    cuts = examined.splits[settings.split]
    report = evaluation.evaluate(
        model,
        evaluation.progress(corpus.utterances(examined, settings.split), total=len(cuts)),
        commands=commands,
        threshold=_threshold(settings, source, model, commands),
        beam=settings.beam,
        worst=settings.worst,
        training_speakers=set(record.get("training_speakers", [])),
        model={"path": str(path), "kind": "checkpoint" if path.suffix == ".ckpt" else "exported"},
        data=corpus.description(settings, examined),
        record=corpus.brief(record),
    )
    output = Path(settings.output)
    evaluation.write(report, output)
    console = Console()
    console.print(evaluation.table(report))
    console.print(f"report: {output / 'report.html'}", soft_wrap=True)


def _commands(settings: DictConfig, source: sources.Source) -> list[str]:
    """Give the closed set: the words named, those that the corpus is limited to, or all it has.

    A corpus with longer texts, or with more words than a list of commands has, is no closed set.
    """
    words = settings.commands
    if words is None:
        words = settings.data.get("words")
    if words is None:
        words = sorted({clip.text for clip in source.clips()} - {""})
        if len(words) > _MOST_COMMANDS or any(" " in word for word in words):
            return []
    return [normalise(word) for word in words]


def _threshold(
    settings: DictConfig, source: sources.Source, model: evaluation.Recogniser, commands: list[str]
) -> float | None:
    """Give the threshold of rejection: the one named, or the best one on the validation split.

    None where there is nothing to reject.
    """
    if settings.threshold is not None or not commands:
        return None if settings.threshold is None else float(settings.threshold)
    clips = [clip for clip in source.clips() if clip.split in ("valid", settings.split)]
    others = {clip.split for clip in clips if clip.text not in commands}
    if settings.split not in others:
        return None
    if "valid" not in others:
        raise InputError(
            f"{settings.split} holds other words or silence, but validation does not, so no "
            f"threshold can be found for rejecting them; name one with threshold=0.5"
        )
    examined = corpus.examined(settings.examine, source, ("valid",))
    valid = evaluation.progress(
        corpus.utterances(examined, "valid"), total=len(examined.splits["valid"])
    )
    return evaluation.fit_rejection_threshold(model, valid, commands)


_TASKS = {"recognition": _recognition, "spotting": judging.run}
