"""linnet prepare: fetch or make a corpus, check it, and say what it holds.

source -> examined with the tokens and the front-end -> table, cuts_<split>.jsonl.gz
"""

from pathlib import Path

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from linnet import sources
from linnet.apps import checking, config
from linnet.apps.corpus import examined, tokenizer

_SHOWN_REJECTS = 20


def run(settings: DictConfig) -> None:
    """Do the work of ``linnet prepare``."""
    checking.check_targets(settings)
    source: sources.Source = config.build(settings.data)
    tokens = tokenizer(settings.tokenizer, source)
    corpus = examined(
        settings.examine, source, tokens=tokens, front_end=config.build(settings.frontend)
    )
    output = Path(settings.output)
    corpus.write(output)
    console = Console()
    console.print(_table(corpus))
    for kind, count in corpus.rejects_by_kind().items():
        console.print(f"left out, {kind}: {count}")
    for reject in corpus.rejects[:_SHOWN_REJECTS]:
        console.print(f"  {reject.id}: {reject.reason}", soft_wrap=True, markup=False)
    if len(corpus.rejects) > _SHOWN_REJECTS:
        console.print(f"  and {len(corpus.rejects) - _SHOWN_REJECTS} more")
    for (first, second), names in corpus.overlap.items():
        console.print(f"[red]{len(names)} speakers are in both {first} and {second}[/red]")
    console.print(f"manifest {corpus.manifest_hash[:16]} in {output}")


def _table(corpus: sources.Corpus) -> Table:
    table = Table("split", box=None)
    for name in ("hours", "clips", "speakers", "words", "left out"):
        table.add_column(name, justify="right")
    for split, summary in corpus.summaries.items():
        table.add_row(
            split,
            f"{summary.hours:.2f}",
            str(summary.clips),
            str(summary.speakers),
            str(summary.words),
            str(summary.rejects),
        )
    return table
