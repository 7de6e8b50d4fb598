"""Training steps a second: ``linnet train`` against the plainest loop one would write, all cores.

    linnet train's own objects -> Lightning -> a block of steps, the peer's epoch, a block, ...

Ours is the real training: corpus, batches, module and settings are built by the code of ``linnet
train``; Lightning runs it, with its schedule, clipping and a line of TensorBoard a step. Left out
are validation and checkpoints, which the peer has not either. A callback stops the clock after each
block and lets the peer (``plain_loop``) train an epoch of the same clips. A block has as many steps
as an epoch, so both sides pay for the start of one.

Clips, batch, loss and threads are the same, and so is the network but for the normalisation between
its layers, which only ours has. The features of the peer are torchaudio's. It never augments; ours
is shown without augmentation, and with. The peer is shown reading in its own process, and in two
others: on a busy machine those get a share of the cores of their own.
"""

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import lightning
import torch
from lightning.pytorch.callbacks import Callback, LearningRateMonitor
from omegaconf import DictConfig
from torch.utils.data import DataLoader

from benchmarks import clips, machine, plain_loop
from benchmarks.comparing import Comparison, threads
from benchmarks.options import Options
from linnet.apps import config
from linnet.apps.assembling import assemble
from linnet.apps.reporting import quiet_lightning
from linnet.data import Corpus, text_of
from linnet.module import Training

_AUGMENTS = {"none": "without augmentation", "standard": "with augmentation"}
_WORKERS = (0, 2)


class Turns(Callback):
    """Times blocks of our steps, and the peer between two of them.

    Args:
        steps: of a block.
        peer: trains and gives its steps.
    """

    def __init__(self, steps: int, peer: Callable[[], int]) -> None:
        self.our_speeds: list[float] = []
        self.peer_speeds: list[float] = []
        self._steps = steps
        self._peer = peer
        self._begun = 0.0

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Let the peer take its turn if our block is complete."""
        if trainer.global_step % self._steps:
            return
        ended = time.perf_counter()
        self.our_speeds.append(self._steps / (ended - self._begun))
        steps = self._peer()
        self._begun = time.perf_counter()
        self.peer_speeds.append(steps / (self._begun - ended))


def run(options: Options) -> list[Comparison]:
    """Compare without and with augmentation, the peer reading in its process and in others."""
    found = []
    cores = options.threads or machine.cores()
    with TemporaryDirectory(prefix="linnet-bench-") as folder, threads(cores):
        root = Path(folder) / "clips"
        count = options.steps * options.batch
        if options.recordings is None:
            clips.make(root, count)
        else:
            clips.link(options.recordings, root, count)
        for augment in _AUGMENTS:
            settings = settings_of(root, augment, options.batch)
            found += [
                _compare(settings, augment, workers, Path(folder), options) for workers in _WORKERS
            ]
    return found


def settings_of(root: Path, augment: str, batch: int) -> DictConfig:
    """Give the settings of ``linnet train`` for the clips in ``root``."""
    overrides = [
        "data=folders",
        f"data.root={config.literal(str(root))}",
        "data.split_by=folders",
        "examine.allow_speaker_overlap=true",
        f"augment={augment}",
        f"batches.batch_cuts={batch}",
        "trainer=cpu",
    ]
    return config.compose("train", overrides)


def _compare(
    settings: DictConfig, augment: str, workers: int, folder: Path, options: Options
) -> Comparison:
    with quiet_lightning():
        ours, batches, _ = assemble(settings)
        peer = loop(settings, ours, files_of(batches, ours), workers)
        turns = Turns(options.steps, peer.epoch)
        # The first turn of each side warms up.
        steps = options.steps * (options.blocks + 1)
        trainer(settings, steps, folder, turns).fit(ours, datamodule=batches)
    heard = "clips of 1 s" if options.recordings is None else f"of {options.recordings.name}"
    where = f"{workers} worker processes" if workers else "no worker processes"
    return Comparison(
        benchmark="train",
        task=f"{options.batch} {heard} a step, {torch.get_num_threads()} threads",
        ours=_AUGMENTS[augment],
        peer=f"plain loop, {where}",
        unit="steps/s",
        more_is_better=True,
        our_values=tuple(turns.our_speeds[1:]),
        peer_values=tuple(turns.peer_speeds[1:]),
        agreement={
            "our_weights": float(ours.recogniser.network.weights),
            "peer_weights": float(sum(one.numel() for one in peer.network.parameters())),
        },
    )


def trainer(settings: DictConfig, steps: int, folder: Path, turns: Turns) -> lightning.Trainer:
    """Give the trainer of ``linnet train``, without validation and checkpoints."""
    loggers = [make(save_dir=folder) for make in config.build(settings.logger).values()]
    return config.build(
        settings.trainer,
        precision="32-true",
        callbacks=[LearningRateMonitor("step"), turns],
        logger=loggers,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        limit_val_batches=0,
        max_steps=steps,
        # As many epochs as these steps can make.
        max_epochs=steps,
    )


def files_of(batches: Corpus, ours: Training) -> list[tuple[Path, list[int]]]:
    """Give the file and the token ids of each clip that is trained on."""
    encode = ours.recogniser.tokenizer.encode
    cuts = (cut for batch in batches.train_dataloader().sampler for cut in batch)
    return [(Path(cut.recording.sources[0].source), encode(text_of(cut))) for cut in cuts]


def loop(
    settings: DictConfig,
    ours: Training,
    files: list[tuple[Path, list[int]]],
    workers: int,
) -> plain_loop.Loop:
    """Give the plain loop, which trains a network like ours."""
    sizes = ours.recogniser.network.settings
    network = plain_loop.Network(
        sizes["features"], sizes["tokens"], sizes["hidden"], sizes["layers"], sizes["dropout"]
    )
    loader = DataLoader(
        plain_loop.Clips(files, dict(settings.frontend), settings.model.stack),
        batch_size=settings.batches.batch_cuts,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=plain_loop.collate,
    )
    return plain_loop.Loop(network, loader, settings.optimizer.lr)
