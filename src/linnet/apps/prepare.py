"""The call of linnet prepare; the work stands in ``preparing``, which takes seconds to import."""

from linnet.apps import running

USAGE = """usage: linnet prepare [KEY=VALUE ...]

Fetch or make a corpus, check every recording of it, and write its manifests.

  linnet prepare data=speech_commands data.download=true     fetch the official corpus
  linnet prepare data=folders data.root=my_words             check your own recordings
  linnet prepare data=kaldi data.root=PATH examine.on_reject=stop
"""


def main(argv: list[str]) -> int:
    """Run ``linnet prepare``."""
    return running.run("prepare", argv, USAGE)
