"""``linnet confusable``: how risky a keyword is, before anything is recorded.

    MODEL, keyword -> nearest words, length; false alarms on stored posteriors -> better keywords

Needs no torch; stored posteriors are those that ``linnet calibrate`` left beside the model.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from linnet.errors import InputError
from linnet.evaluation.spotting import posteriors
from linnet.evaluation.spotting.confusion import Risk, Vocabulary, risk, suggestions
from linnet.metrics.spotting import hours_needed
from linnet.runtime import load
from linnet.text import everyday_words, normalise

_LOWEST = 0.1

_EXAMPLES = """examples:
  linnet confusable exported/ "hey linnet"
  linnet confusable exported/ left right:0.4 --target 0.1
  linnet confusable exported/ jupiter --words my_words.txt
"""


def main(argv: Sequence[str]) -> int:
    """Judge the keywords that ``argv`` names."""
    options = _parse(argv)
    hours_needed(options.target)
    path = Path(options.model)
    model = load(path)
    keywords = model.keywords(options.keywords)
    vocabulary = Vocabulary(_words(options.words), model.tokenizer)
    # Streams of several stores would share their names; the longest one says most.
    stored = posteriors.find(path)[:1] if path.is_dir() else []
    heard = stored[0].heard if stored else ()
    for keyword in keywords:
        settings = {"target": options.target, "lowest": _LOWEST}
        found = risk(keyword, vocabulary, heard, most=options.most, **settings)
        better = suggestions(
            keyword, vocabulary, model.tokenizer, heard, most=options.most, **settings
        )
        sys.stdout.write(_told(found, better, options.target))
    if not stored:
        sys.stdout.write(
            "No posteriors are stored beside the model, so nothing is known of false alarms: "
            "'linnet calibrate' with hours of other speech stores some.\n"
        )
    return 0


def _told(found: Risk, better: Sequence[Risk], target: float) -> str:
    keyword = found.keyword
    nearest = ", ".join(f"{text} ({distance})" for text, distance in found.nearest)
    lines = [
        f"{keyword.text}: {len(keyword.ids)} tokens",
        f"  nearest words ({found.letter}s that differ): {nearest or 'none'}",
    ]
    lines += [f"  risk: {reason}" for reason in found.reasons()]
    if found.false_alarms is not None and found.calibration is not None:
        rate, needed = found.false_alarms, found.calibration
        lines.append(
            f"  false alarms per hour at {keyword.threshold:g}: {rate.value:.2f} ({rate.low:.2f} "
            f"to {rate.high:.2f}; {rate.count} in {needed.hours:.2f} hours)"
        )
        reach = f"takes a threshold of {needed.keyword.threshold:.4f}"
        if not needed.reached:
            reach = "is out of reach: the model hears it outright where it is not"
        lines.append(f"  {target:g} false alarms per hour {reach}")
    lines.append("  better: " + ("; ".join(map(_brief, better)) or "none that the tokens spell"))
    return "\n".join(lines) + "\n"


def _brief(found: Risk) -> str:
    threshold = ""
    if found.calibration is not None:
        threshold = f", threshold {found.calibration.keyword.threshold:.2f}"
    nearest = f", nearest {found.nearest[0][0]}" if found.nearest else ""
    return f"{found.keyword.text} ({len(found.keyword.ids)} tokens{nearest}{threshold})"


def _words(path: Path | None) -> list[str]:
    if path is None:
        return everyday_words()
    try:
        words = [normalise(word) for word in path.read_text(encoding="utf-8").split()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--words {path}: cannot be read as a list of words ({error}); give a text file"
        ) from error
    return [word for word in words if word]


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="linnet confusable",
        description="Tell how risky a keyword is, before anything is recorded.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="an exported folder, or its model.onnx")
    parser.add_argument("keywords", metavar="KEYWORD", nargs="+", help="text, or text:threshold")
    parser.add_argument(
        "--words", type=Path, metavar="FILE", help="words that may be said (default: everyday ones)"
    )
    parser.add_argument(
        "--target", type=float, default=0.5, metavar="RATE", help="false alarms per hour (0.5)"
    )
    parser.add_argument(
        "--most", type=int, default=5, metavar="N", help="words and suggestions to name (5)"
    )
    return parser.parse_args(argv)
