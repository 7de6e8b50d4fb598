"""What can go wrong, as a small tree of exceptions.

    LinnetError             the work failed: exit status 1
      ParityError           an exported graph does not compute what its checkpoint computes
      InputError            the call or the input is wrong: exit status 2
        AudioError          a recording that cannot be read
        TextError           a transcript that the tokens cannot spell
        KeywordError        a keyword that cannot be listened for
        CorpusError         a corpus that is not what its description says
        ConfigError         an option that does not exist or has a wrong value
        ModelError          a checkpoint, graph or model folder that cannot be used

The text of each says what came, what was expected and what to do, in one or two lines: the command
line prints it as it is.
"""


class LinnetError(Exception):
    """The work failed (exit status 1)."""

    exit_status = 1


class ParityError(LinnetError):
    """An exported graph does not compute what its checkpoint computes."""


class InputError(LinnetError, ValueError):
    """The call or the input is wrong (exit status 2)."""

    exit_status = 2


class AudioError(InputError):
    """A recording that cannot be read: missing, empty, truncated, no audio, or holding NaN."""


class TextError(InputError):
    """A transcript that the tokens cannot spell."""


class KeywordError(InputError):
    """A keyword that cannot be listened for: empty, not spelt by the tokens, a wrong threshold."""


class CorpusError(InputError):
    """A corpus that is not what its description says."""


class ConfigError(InputError):
    """An option that does not exist or has a wrong value."""


class ModelError(InputError):
    """A checkpoint, graph or model folder that cannot be used."""


class MissingExtraError(InputError):
    """A verb whose optional dependencies are not installed."""

    def __init__(self, module: str, extra: str) -> None:
        super().__init__(
            f"this needs the Python package '{module}', which is not installed; "
            f"install it with: pip install 'linnet[{extra}]'"
        )
