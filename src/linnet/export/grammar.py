"""``HL.fst``: only a list of commands can be heard, whatever else the tokens could spell.

    start -> command -> (separator -> command) ... ; saying nothing is allowed

sherpa-onnx searches the best path through this transducer instead of taking the best token of each
step. On its input side stand CTC's labels, one a step: a token as often as it lasts, blanks where
they may be, and one between two equal tokens (Graves et al. 2006). A label is the token's id plus
1, since 0 means nothing to a transducer; on the output side stands the number of the command.
"""

from collections.abc import Sequence
from pathlib import Path

from linnet.errors import ConfigError, TextError
from linnet.text import SPACE, Tokenizer, normalise

GRAMMAR = "HL.fst"
_BLANK = 0


def spelt(commands: Sequence[str], tokenizer: Tokenizer) -> dict[str, list[int]]:
    """Give the tokens of each command.

    Raises:
        ConfigError: a command is empty, comes twice, or cannot be spelt.
    """
    found: dict[str, list[int]] = {}
    for command in commands:
        name = normalise(command)
        if not name or name in found:
            wrong = f"{command!r} twice" if name else f"{command!r}, which holds no word"
            raise ConfigError(f"commands holds {wrong}; name each command once: commands=[yes,no]")
        try:
            found[name] = tokenizer.encode(name)
        except TextError as error:
            raise ConfigError(f"commands: {error}") from error
    return found


class Acceptor:
    """The states and arcs of the transducer, as OpenFst's text form says them."""

    def __init__(self) -> None:
        self._arcs: list[str] = []
        self._finals: list[int] = []
        self._states = 0

    def state(self, *, final: bool = False) -> int:
        """Give a new state; the first is the start."""
        self._states += 1
        if final:
            self._finals.append(self._states - 1)
        return self._states - 1

    def arc(self, source: int, target: int, token: int, word: int = 0) -> None:
        """Let ``token`` lead from ``source`` to ``target``, and say ``word`` there."""
        self._arcs.append(f"{source} {target} {token + 1} {word}")

    def text(self) -> str:
        """Give the text form."""
        return "\n".join([*self._arcs, *map(str, self._finals)]) + "\n"


def acceptor(spellings: Sequence[Sequence[int]], separator: int | None) -> str:
    """Give the text form of the transducer of some commands.

    Args:
        spellings: the tokens of each command.
        separator: the token between two commands; None if nothing stands between words.
    """
    graph = Acceptor()
    start = graph.state(final=True)
    graph.arc(start, start, _BLANK)
    before = [start]
    if separator is not None:
        said, rest = _token(graph, separator)
        before += [said, rest]
    for word, tokens in enumerate(spellings, 1):
        reached, last = list(before), None
        for place, token in enumerate(tokens):
            ends = place + 1 == len(tokens)
            said, rest = _token(graph, token, final=ends)
            for source in reached:
                if token != last or source != reached[0]:
                    graph.arc(source, said, token, word if place == 0 else 0)
            reached, last = [said, rest], token
        if separator is None:
            # A blank between two words: without it two equal ones would be one.
            for first in before:
                graph.arc(reached[1], first, _BLANK)
        else:
            for source in reached:
                graph.arc(source, before[1], separator)
    return graph.text()


def _token(graph: Acceptor, token: int, *, final: bool = False) -> tuple[int, int]:
    """Add a token that lasts, and the blanks after it."""
    said, rest = graph.state(final=final), graph.state(final=final)
    graph.arc(said, said, token)
    graph.arc(said, rest, _BLANK)
    graph.arc(rest, rest, _BLANK)
    return said, rest


def write(commands: Sequence[str], tokenizer: Tokenizer, path: Path) -> None:
    """Write the transducer of ``commands`` to ``path``.

    Raises:
        ConfigError: a command is empty, comes twice, or cannot be spelt.
    """
    import kaldifst

    separator = tokenizer.tokens.index(SPACE) if SPACE in tokenizer.tokens else None
    text = acceptor(list(spelt(commands, tokenizer).values()), separator)
    kaldifst.compile(text, acceptor=False).write(str(path))
