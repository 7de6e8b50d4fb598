"""What the verbs share about corpora and models.

settings -> source -> examined corpus          what can be spelt and fits into its steps
path -> model, record -> settings of its data  so that a model is judged on its own corpus
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from linnet import data, module, runtime, sources
from linnet.apps import config
from linnet.errors import ModelError
from linnet.evaluation import Recogniser, Utterance
from linnet.frontend import FrontEnd
from linnet.text import Tokenizer


def tokenizer(settings: DictConfig, source: sources.Source) -> Tokenizer:
    """Build the tokenizer; the vocabulary that no setting names is that of the training texts."""
    if not OmegaConf.is_missing(settings, "words"):
        return config.build(settings)
    texts = {clip.text for clip in source.clips() if clip.split == "train"}
    words = sorted({word for text in texts for word in text.split()})
    return config.build(settings, words=words)


def examined(
    settings: DictConfig,
    source: sources.Source,
    splits: Sequence[str] | None = None,
    *,
    tokens: Tokenizer | None = None,
    front_end: FrontEnd | None = None,
) -> sources.Corpus:
    """Examine ``splits`` of ``source`` (all if None): can each recording be read?

    With ``tokens`` also whether each text can be spelt, with ``front_end`` whether it fits into the
    steps of its recording.
    """
    return sources.examine(
        source,
        splits=splits,
        encode=tokens.encode if tokens else None,
        steps=(lambda samples: front_end.steps(front_end.frames(samples))) if front_end else None,
        on_reject=settings.on_reject,
        allow_speaker_overlap=settings.allow_speaker_overlap,
    )


def utterances(corpus: sources.Corpus, split: str) -> Iterator[Utterance]:
    """Read the utterances of ``split``, one after the other."""
    for cut in corpus.splits[split]:
        speaker = cut.supervisions[0].speaker or ""
        yield Utterance(cut.id, data.waveform_of(cut), data.text_of(cut), speaker)


def load_model(path: Path) -> tuple[Recogniser, dict[str, Any]]:
    """Load what is judged, a checkpoint or an exported model, and the record of its training.

    Raises:
        ModelError: it is neither.
    """
    if path.suffix == ".ckpt":
        return module.load(path)
    # As many threads as the checkpoint gets, so that the times compare.
    model = runtime.load(path, threads=os.cpu_count() or 1)
    return model, dict(model.description["record"])


def with_recorded_data(argv: list[str], record: dict[str, Any]) -> list[str]:
    """Put the settings of the corpus that a model was trained on before those of the command.

    The record comes with a model from anywhere, so only Linnet's own sources are taken from it.

    Raises:
        ModelError: the record names no corpus of Linnet's.
    """
    if any(argument.startswith("data=") for argument in argv):
        return argv
    recorded = dict(record.get("settings", {}).get("data", {}))
    options = {
        path.stem: OmegaConf.to_container(OmegaConf.load(path))
        for path in (config.folder() / "data").glob("*.yaml")
    }
    strangers = set(_named(recorded)) - set(_named(list(options.values())))
    target = str(recorded.pop("_target_", ""))
    name = target.split(".")[-2] if target.count(".") > 1 else ""
    option = options.get(name)
    if not isinstance(option, dict) or option["_target_"] != target or strangers:
        raise ModelError(
            "the model does not say which corpus it was trained on; name one with data=..."
        )
    # A group may hold what its option does not: the corpora of a mixture.
    settings = [
        f"{'++' * isinstance(value, dict)}data.{key}={config.literal(value)}"
        for key, value in recorded.items()
    ]
    return [f"data={name}", *settings, *argv]


def _named(settings: object) -> Iterator[str]:
    """Give the class of every object that Hydra would build from ``settings``, however deep."""
    if isinstance(settings, dict):
        if "_target_" in settings:
            yield str(settings["_target_"])
        settings = list(settings.values())
    if isinstance(settings, list):
        for one in settings:
            yield from _named(one)


def description(settings: DictConfig, examined: sources.Corpus) -> dict[str, Any]:
    """Give what a report says about the recordings."""
    summary = examined.summaries[settings.split]
    return {
        "source": settings.data._target_,
        "settings": OmegaConf.to_container(settings.data, resolve=True),
        "split": settings.split,
        "clips": summary.clips,
        "hours": round(summary.hours, 4),
        "speakers": summary.speakers,
        "left_out": summary.rejects,
        "manifest": examined.manifest_hash,
    }


def brief(record: dict[str, Any]) -> dict[str, Any]:
    """Give the record of the training without what would fill pages."""
    return {key: value for key, value in record.items() if key != "training_speakers"}
