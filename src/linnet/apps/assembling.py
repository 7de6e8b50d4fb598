"""What a training is made of: the settings become a LightningModule, its batches and a record.

settings -> examined corpus, tokens -> front-end, network, augmentation -> Training, record
"""

import importlib.metadata
from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

import linnet
from linnet import data, sources
from linnet.apps import config
from linnet.apps.corpus import examined, tokenizer
from linnet.apps.source_tree import git
from linnet.apps.starting import begin
from linnet.apps.teaching import distillation
from linnet.frontend import FrontEnd
from linnet.model import Network
from linnet.module import Recogniser, Training, training_speakers
from linnet.text import Tokenizer

_RECORDED = (
    "torch",
    "torchaudio",
    "lightning",
    "hydra-core",
    "lhotse",
    "numpy",
    "soundfile",
    "soxr",
)


def assemble(settings: DictConfig) -> tuple[Training, data.Corpus, dict[str, Any]]:
    """Build what trains, what it trains on, and the record of both."""
    torch.manual_seed(settings.seed)
    source: sources.Source = config.build(settings.data)
    tokens = tokenizer(settings.tokenizer, source)
    front_end: FrontEnd = config.build(settings.frontend)
    corpus = examined(
        settings.examine, source, ("train", "valid"), tokens=tokens, front_end=front_end
    )
    record = _record(settings, corpus)
    batches = data.Corpus(
        train=corpus.splits["train"],
        valid=corpus.splits["valid"],
        encode=tokens.encode,
        compose=config.build(settings.compose) or None,
        seed=settings.seed,
        **settings.batches,
    )
    model = Recogniser(front_end, _network(settings, front_end, tokens), tokens)
    distilled, teacher = distillation(settings, model)
    training = Training(
        model=model,
        waveform_augment=config.build(settings.augment.waveform),
        gain=config.build(settings.augment.gain),
        warp=config.build(settings.augment.warp),
        spec_augment=config.build(settings.augment.spec),
        optimizer=config.build(settings.optimizer),
        warmup=settings.schedule.warmup,
        seed=settings.seed,
        record=record,
        rarity=settings.rarity,
        evenness=settings.evenness,
        distillation=distilled,
    )
    begun = begin(settings, model)
    _add_earlier(record, {"start": begun, "teacher": teacher})
    noise = source.noise()
    if noise is not None:
        pieces = [torch.from_numpy(data.waveform_of(cut)) for cut in noise]
        training.waveform_augment.set_noise(torch.cat(pieces))
    if front_end.normalisation == "training" and begun is None:
        front_end.set_statistics(*data.statistics(front_end, batches.train_dataloader()))
    return training, batches, record


def _add_earlier(record: dict[str, Any], earlier: Mapping[str, dict[str, Any] | None]) -> None:
    """Add to the record of a training those of the trainings that it builds on."""
    known = {name: one for name, one in earlier.items() if one is not None}
    record |= known
    record["training_speakers"] = training_speakers(record, *known.values())


def _network(settings: DictConfig, front_end: FrontEnd, tokens: Tokenizer) -> Network:
    """Build the network; ``model.stack`` is the front-end's, which stacks the frames."""
    model = settings.model.copy()
    del model.stack
    network: Network = config.build(model, features=front_end.features, tokens=len(tokens.tokens))
    return network


def _record(settings: DictConfig, corpus: sources.Corpus) -> dict[str, Any]:
    """Give what would be needed to make this run again."""
    train = corpus.splits["train"]
    return {
        "linnet": linnet.__version__,
        "commit": git("rev-parse", "HEAD"),
        "versions": {name: importlib.metadata.version(name) for name in _RECORDED},
        "seed": settings.seed,
        "manifest": corpus.manifest_hash,
        "rejects": len(corpus.rejects),
        "training_speakers": sorted({str(cut.supervisions[0].speaker) for cut in train}),
        "settings": OmegaConf.to_container(settings, resolve=True),
    }
