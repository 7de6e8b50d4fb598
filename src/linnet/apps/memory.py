"""A task of pure memory: at which distance does each cell lose its past?

    adding problem: T random numbers, two of them marked -> their sum, asked for at the end
    cell x length x seed -> trained until solved or out of steps -> a file each -> table, picture

Hochreiter and Schmidhuber 1997, section 5.4, in the form of Le et al. 2015, section 4.1: numbers
from 0 to 1, the first mark in the first half of the sequence, the second in the second half. Who
always answers 1 has a mean squared error of 1/6. A trial that is done is not done again.
"""

import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from linnet import kernel as kernels
from linnet.apps import compared
from linnet.errors import ConfigError
from linnet.files import write_text
from linnet.model import CELLS

# What always answering the mean costs, and from where on the task counts as solved.
GUESSING = 1 / 6
SOLVED = 0.01
_TEST_SEED, _TEST_SEQUENCES = 10_000_019, 256
_EVERY = 50  # steps between two looks at the test
# Small enough for one core, large enough for gates to learn.
_HIDDEN, _BATCH, _LEARNING_RATE = 32, 32, 0.01
_REACHED = 8  # sequences whose gradient is followed


@dataclass(frozen=True)
class Sizes:
    """How large a trial is.

    Attributes:
        hidden: units of its one layer.
        batch: sequences of a step.
        steps: of training, at most.
        learning_rate: of Adam.
    """

    hidden: int
    batch: int
    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Trial:
    """One cell at one length from one seed."""

    cell: str
    length: int
    seed: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.cell}_{self.length}_{self.seed}"


class Adder(nn.Module):
    """One recurrent layer whose last state answers.

    Args:
        cell: a key of ``CELLS``.
        hidden: its units.
    """

    def __init__(self, cell: str, hidden: int) -> None:
        super().__init__()
        self.recurrent = CELLS[cell](
            2, hidden, num_layers=1, bidirectional=False, batch_first=True, dropout=0.0
        )
        self.head = nn.Linear(hidden, 1)

    def forward(self, sequences: Float[Tensor, "batch steps 2"]) -> Float[Tensor, " batch"]:
        """Give the answers."""
        steps = torch.full((len(sequences),), sequences.shape[1])
        states = kernels.run(self.recurrent, sequences, steps, kernel="auto")
        answers: Tensor = self.head(states[:, -1])[:, 0]
        return answers


def problems(
    count: int, length: int, generator: torch.Generator
) -> tuple[Float[Tensor, "count length 2"], Float[Tensor, " count"]]:
    """Draw sequences of the adding problem, and their sums."""
    numbers = torch.rand(count, length, generator=generator)
    half = length // 2
    first = torch.randint(0, half, (count, 1), generator=generator)
    second = torch.randint(half, length, (count, 1), generator=generator)
    marks = torch.zeros(count, length).scatter_(1, torch.cat([first, second], dim=1), 1.0)
    return torch.stack([numbers, marks], dim=-1), (numbers * marks).sum(dim=1)


def attempt(trial: Trial, sizes: Sizes) -> dict[str, Any]:
    """Train one cell and give what became of it, as plain values."""
    with torch.random.fork_rng():
        torch.manual_seed(trial.seed)
        model = Adder(trial.cell, sizes.hidden)
    generator = torch.Generator().manual_seed(trial.seed)
    test = problems(
        _TEST_SEQUENCES, trial.length, torch.Generator().manual_seed(_TEST_SEED + trial.length)
    )
    untrained = _reach(model, test[0])
    optimizer = torch.optim.Adam(model.parameters(), lr=sizes.learning_rate)
    curve: list[tuple[int, float]] = []
    for step in range(1, sizes.steps + 1):
        sequences, sums = problems(sizes.batch, trial.length, generator)
        loss = nn.functional.mse_loss(model(sequences), sums)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % _EVERY == 0 or step == sizes.steps:
            with torch.no_grad():
                curve.append((step, float(nn.functional.mse_loss(model(test[0]), test[1]))))
            if curve[-1][1] < SOLVED:
                break
    return {
        **asdict(trial),
        "sizes": asdict(sizes),
        "weights": sum(parameter.numel() for parameter in model.parameters()),
        "error": curve[-1][1],
        "steps": curve[-1][0],
        "solved": curve[-1][1] < SOLVED,
        "curve": curve,
        "reach_untrained": untrained,
        "reach_trained": _reach(model, test[0]),
    }


def _reach(model: Adder, sequences: Float[Tensor, "batch steps 2"]) -> list[float]:
    """Give the gradient of the answer over the distance of the input, averaged in the logarithm."""
    exact = copy.deepcopy(model).double()
    given = sequences[:_REACHED].double().requires_grad_()
    (slopes,) = torch.autograd.grad(exact(given).sum(), given)
    norms = slopes.norm(dim=2).clamp(min=np.finfo(np.float64).tiny)
    curve = norms.log().mean(dim=0).exp().flip(0)
    return [float(value) for value in curve / curve.max()]


def trials(cells: Sequence[str], lengths: Sequence[int], seeds: Sequence[int]) -> list[Trial]:
    """Give all trials, the shortest sequences first.

    Raises:
        ConfigError: a cell that does not exist, or a length without two halves.
    """
    for cell in cells:
        if cell not in CELLS:
            raise ConfigError(f"--cells {cell}: there is no such cell; known: {', '.join(CELLS)}")
    for length in lengths:
        if length < 2:
            raise ConfigError(f"--lengths {length}: expected at least 2 steps, one in each half")
    return [
        Trial(cell, length, seed) for length in sorted(lengths) for cell in cells for seed in seeds
    ]


def compare(chosen: Sequence[Trial], steps: int, output: Path) -> str:
    """Make the trials, write table, numbers and picture, and give the table as Markdown."""
    if steps < 1:
        raise ConfigError(f"--steps {steps}: expected at least 1")
    sizes = Sizes(hidden=_HIDDEN, batch=_BATCH, steps=steps, learning_rate=_LEARNING_RATE)
    results = run(chosen, sizes, output)
    text = table(results) + (
        f"\nThe adding problem with {sizes.hidden} units, at most {steps} steps of {sizes.batch} "
        f"sequences. Solved: mean squared error below {SOLVED}; guessing costs {GUESSING:.3f}.\n"
    )
    (output / "memory.md").write_text(text, encoding="utf-8")
    (output / "memory.json").write_text(json.dumps({"trials": results}) + "\n", encoding="utf-8")
    for theme, ending in compared.THEMES.items():
        picture = compared.memory(results, GUESSING, SOLVED, theme=theme)
        (output / f"memory{ending}.png").write_bytes(picture)
    return text


def run(chosen: Sequence[Trial], sizes: Sizes, output: Path) -> list[dict[str, Any]]:
    """Make the trials that are not done, each into a file of ``output``; give all of them.

    Raises:
        OSError: a file cannot be written.
    """
    folder = output / "trials"
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for trial in chosen:
        path = folder / f"{trial.name}.json"
        found = _done(path, sizes)
        if found is None:
            found = attempt(trial, sizes)
            write_text(path, json.dumps(found) + "\n")
            how = "solved" if found["solved"] else "not solved"
            sys.stderr.write(
                f"{trial.cell} length {trial.length} seed {trial.seed}: {how} after "
                f"{found['steps']} steps, error {found['error']:.4f}\n"
            )
        results.append(found)
    return results


def _done(path: Path, sizes: Sizes) -> dict[str, Any] | None:
    """Give a trial that is done and was of this size."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    same = isinstance(found, dict) and found.get("sizes") == asdict(sizes)
    return found if same else None


def table(results: Sequence[dict[str, Any]]) -> str:
    """Give the results as Markdown: a row a cell, a column a length."""
    lengths = sorted({one["length"] for one in results})
    heads = ["cell", "weights", *(f"length {length}" for length in lengths)]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for cell in dict.fromkeys(one["cell"] for one in results):
        own = [one for one in results if one["cell"] == cell]
        cells = [cell, f"{own[0]['weights']:,}"]
        for length in lengths:
            seeds = [one for one in own if one["length"] == length]
            cells.append(_cell(seeds))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(seeds: Sequence[dict[str, Any]]) -> str:
    """Say how many seeds solved one length, and after how many steps or with what error."""
    if not seeds:
        return "-"
    solved = [one["steps"] for one in seeds if one["solved"]]
    share = f"{len(solved)} of {len(seeds)}"
    if solved:
        return f"{share}, {int(np.median(solved))} steps"
    return f"{share}, error {np.median([one['error'] for one in seeds]):.3f}"
