"""Training from the command line: it learns, it resumes, it says what is wrong."""

import csv
import itertools
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import small_model
import spoken
from linnet import module
from linnet.apps import config, main
from linnet.apps.assembling import assemble
from linnet.errors import ConfigError


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of a corpus of 90 clips that espeak-ng speaks."""
    pytest.importorskip("espeakng_loader")
    return spoken.settings(tmp_path_factory.mktemp("corpus") / "spoken")


def settings(corpus: list[str], run: Path, *more: str) -> list[str]:
    small = ["model.layers=1", "model.hidden=24", "trainer=cpu", "batches.batch_cuts=12"]
    return ["train", *corpus, *small, f"hydra.run.dir={run}", *more]


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def weights(run: Path, name: str = "last") -> dict[str, torch.Tensor]:
    checkpoint = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return checkpoint["state_dict"]


def test_a_run_leaves_what_the_manual_says(
    corpus: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main(settings(corpus, run, "trainer.max_epochs=2", "seed=0")) == 0
    assert capsys.readouterr().out == f"{run / 'checkpoints' / 'best.ckpt'}\n"
    left = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    events = {name for name in left if name.startswith("tensorboard/events")}
    assert events
    assert left - events == {
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "config.yaml",
        "metrics.csv",
        "record.json",
        "tensorboard/hparams.yaml",
    }
    record = json.loads((run / "record.json").read_text())
    assert record["seed"] == 0
    assert record["result"]["epochs"] == 2
    assert len(record["manifest"]) == 64
    assert record["settings"]["model"]["hidden"] == 24
    assert set(record["versions"]) >= {"torch", "lightning", "lhotse"}
    assert [row["epoch"] for row in rows(run)] == ["0", "1"]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    corpus: list[str], tmp_path: Path
) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        command = settings(corpus, tmp_path / name, "trainer.max_epochs=1", f"seed={seed}")
        assert main(command) == 0
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not all(torch.equal(a[key], c[key]) for key in a)


def test_a_training_goes_on_from_the_weights_of_another(corpus: list[str], tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(settings(corpus, first, "trainer.max_epochs=1")) == 0
    begun = first / "checkpoints" / "best.ckpt"
    still = ("trainer.max_epochs=1", "optimizer.lr=1e-12", "model.dropout=0.3")
    assert main(settings(corpus, second, *still, f"start={begun}")) == 0
    before, after = weights(first, "best"), weights(second)
    learnt = [name for name in before if before[name].is_floating_point() and "running" not in name]
    assert len(learnt) > 8
    for name in learnt:
        torch.testing.assert_close(after[name], before[name])
    record = json.loads((second / "record.json").read_text())
    assert record["start"]["settings"]["trainer"]["max_epochs"] == 1
    assert record["start"]["seed"] == 0


def test_whom_a_model_heard_before_it_was_trained_on_is_not_forgotten(
    corpus: list[str], tmp_path: Path
) -> None:
    made, _, _ = assemble(config.compose("train", [*corpus, "model.hidden=8"]))
    record = {"training_speakers": ["an earlier one"], "seed": 7}
    earlier = small_model.saved(made.recogniser, tmp_path / "earlier.ckpt", record)
    again = [*corpus, "model.hidden=8", "seed=3", f"start={earlier}"]
    later, _, heard = assemble(config.compose("train", again))
    for name, value in later.recogniser.state_dict().items():
        assert torch.equal(value, made.recogniser.state_dict()[name])
    assert "an earlier one" in heard["training_speakers"]
    assert len(heard["training_speakers"]) > 1
    assert heard["start"] == record


def test_a_joined_teacher_is_kept_in_the_record_with_whom_it_heard(
    corpus: list[str], tmp_path: Path
) -> None:
    made, _, _ = assemble(config.compose("train", [*corpus, "model.hidden=8"]))
    alone = [
        small_model.saved(made.recogniser, tmp_path / f"{who}.ckpt", {"training_speakers": [who]})
        for who in ("ann", "bob")
    ]
    module.join(alone, tmp_path / "joined.ckpt")
    run = tmp_path / "run"
    taught = f"teacher={tmp_path / 'joined.ckpt'}"
    assert main(settings(corpus, run, "trainer.max_epochs=1", taught)) == 0
    record = json.loads((run / "record.json").read_text())
    assert record["teacher"]["training_speakers"] == ["ann", "bob"]
    assert {"ann", "bob"} < set(record["training_speakers"])


def test_a_start_that_names_nothing_asks_for_a_checkpoint(
    corpus: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(settings(corpus, tmp_path / "run", "start=''")) == 2
    said = capsys.readouterr().err
    assert "goes on from another training: add start=PATH, a checkpoint of linnet train" in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["model.hidden=16"], r"its network\.hidden is 8, here it is 16; give the settings that"),
        (["frontend.mels=48"], r"its front_end\.mels is 80, here it is 48"),
        (["tokenizer.alphabet=abcdefghijklmnopqrstuvwxyz"], r"only there: \"'\"; only here: none"),
    ],
)
def test_weights_of_another_kind_of_model_are_refused(
    corpus: list[str], tmp_path: Path, more: list[str], said: str
) -> None:
    made, _, record = assemble(config.compose("train", [*corpus, "model.hidden=8"]))
    earlier = small_model.saved(made.recogniser, tmp_path / "earlier.ckpt", record)
    other = [*corpus, "model.hidden=8", f"start={earlier}", *more]
    with pytest.raises(ConfigError, match=said):
        assemble(config.compose("train", other))


def test_weights_of_more_layers_than_here_are_refused(corpus: list[str], tmp_path: Path) -> None:
    convolved = config.compose("train", [*corpus, "model=crnn", "model.hidden=8"])
    made, _, record = assemble(convolved)
    earlier = small_model.saved(made.recogniser, tmp_path / "earlier.ckpt", record)
    plain = [*corpus, "model=bigru", "frontend=log_mel", "model.hidden=8", f"start={earlier}"]
    with pytest.raises(
        ConfigError, match=r"its network\.channels is \[16, 32, 24\], here it is None"
    ):
        assemble(config.compose("train", plain))


def test_an_evenness_out_of_its_range_is_refused_and_leaves_nothing(
    corpus: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(settings(corpus, tmp_path / "run", "evenness=1.5")) == 2
    assert "evenness=1.5 must lie between 0 and 1" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


EPOCHS = 15  # so many that a signal after the first comes before the last
# Muon takes AdamW along, so that both have to go on from their states.
FEW_STEPS = (f"trainer.max_epochs={EPOCHS}", "augment=light", "optimizer=muon")


@pytest.fixture(scope="module")
def whole(corpus: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing interrupted."""
    run = tmp_path_factory.mktemp("whole") / "run"
    assert main(settings(corpus, run, *FEW_STEPS)) == 0
    return run


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    corpus: list[str], whole: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "linnet", *settings(corpus, broken, *FEW_STEPS)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # What a shell runs in the background inherits that it ignores Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (broken / "metrics.csv").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    assert len(rows(broken)) < EPOCHS
    if stop != signal.SIGKILL:
        assert process.returncode == 130
        assert f"go on with: linnet train resume=true hydra.run.dir={broken}" in said
        assert "Traceback" not in said
    assert main(["train", "resume=true", f"hydra.run.dir={broken}"]) == 0
    resumed, uninterrupted = weights(broken), weights(whole)
    assert all(torch.equal(resumed[key], uninterrupted[key]) for key in uninterrupted)
    assert rows(broken) == rows(whole)
    best = (weights(broken, "best"), weights(whole, "best"))
    assert all(torch.equal(best[0][key], best[1][key]) for key in best[0])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["resume=true"], "resume=true found no run in"),
        (["model.hiden=3"], "did you mean 'model.hidden'?"),
        (["optimizer.lr=fast"], "expected a number"),
        (["model.layers=0"], "layers=0"),
        (["tokenizer.alphabet=abca"], "each character once"),
        (["tokenizer.alphabet=abcdefg"], "which the token set lacks"),
        (["data.root=/dev/null/x"], "/dev/null/x"),
        (["trainer=gpu"], "gpu"),
    ],
)
def test_a_wrong_call_is_a_line_and_status_2(
    corpus: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
) -> None:
    if more == ["trainer=gpu"] and torch.cuda.is_available():
        pytest.skip("here is a GPU")
    run = tmp_path / "run"
    assert main(settings(corpus, run, "trainer.max_epochs=1", *more)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (run / "checkpoints").exists()


def test_a_finished_run_is_not_overwritten(
    corpus: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = settings(corpus, run, "trainer.max_epochs=1")
    assert main(command) == 0
    before = weights(run)
    assert main(command) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert main(["train", "resume=true", "seed=7", f"hydra.run.dir={run}"]) == 2
    assert "leave out seed=7" in capsys.readouterr().err
    assert all(torch.equal(value, before[key]) for key, value in weights(run).items())


def test_training_early_stops_when_nothing_gets_better(corpus: list[str], tmp_path: Path) -> None:
    more = ["trainer.max_epochs=30", "checkpoints.patience=2", "optimizer.lr=0.0"]
    assert main(settings(corpus, tmp_path / "run", *more)) == 0
    assert len(rows(tmp_path / "run")) == 3


def test_cells_and_normalisations_train(corpus: list[str], tmp_path: Path) -> None:
    for cell, normalisation in (("lstm", "training"), ("rnn", "utterance")):
        run = tmp_path / cell
        more = [f"model.cell={cell}", f"frontend.normalisation={normalisation}"]
        assert main(settings(corpus, run, "trainer.max_epochs=1", "model.layers=2", *more)) == 0
        changed = weights(run)["recogniser.front_end.mean"].any()
        assert bool(changed) == (normalisation == "training")


@pytest.mark.slow
def test_a_small_network_learns_three_words(corpus: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ["trainer.max_epochs=60", "model.hidden=48", "augment=none"]
    assert main(settings(corpus, run, *more)) == 0
    best = max(float(row["valid/accuracy"]) for row in rows(run))
    assert best > 0.8


@pytest.mark.gpu
def test_a_gpu_trains_in_mixed_precision(corpus: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    more = ["trainer=gpu", "trainer.max_epochs=2"]
    command = [argument for argument in settings(corpus, run, *more) if argument != "trainer=cpu"]
    assert main(command) == 0
    assert (run / "checkpoints" / "best.ckpt").stat().st_size > 0


def test_every_epoch_is_validated_though_epochs_differ_in_length(
    corpus: list[str], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    ragged = ["trainer.max_epochs=8", "batches.batch_s=2.0", "batches.buckets=3"]
    assert main(settings(corpus, run, *ragged)) == 0
    steps = [int(row["step"]) for row in rows(run)]
    lengths = {after - before for before, after in itertools.pairwise([0, *steps])}
    assert len(lengths) > 1
    assert len({row["valid/loss"] for row in rows(run)}) == 8
