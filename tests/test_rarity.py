"""Words that are rare in use: the adjusted prior is Bayes' rule, and 1 changes nothing."""

import math

import pytest
import torch
from torch import nn

from linnet.errors import ConfigError
from linnet.rarity import Rarity
from linnet.text import Characters, Mixed, Phonemes, Tokenizer, Words

TOKENS = Mixed("abc", ["left", "up"])


def test_odds_of_words_against_other_tokens_fall_by_the_factor() -> None:
    torch.manual_seed(0)
    learnt = nn.Linear(4, len(TOKENS.tokens))
    states = torch.randn(2, 3, 4)
    before = learnt(states).log_softmax(-1)
    rarity = Rarity(TOKENS, factor=50.0)
    rarity.start(learnt)
    in_use = learnt(states).log_softmax(-1)
    # What is learnt from is what it was.
    torch.testing.assert_close(rarity(in_use), before)
    # Bayes: posterior odds are likelihood ratio times prior odds.
    odds = in_use - in_use[..., :1]
    expected = before - before[..., :1]
    expected[..., -2:] -= math.log(50.0)
    torch.testing.assert_close(odds, expected)


def test_a_rarity_of_1_changes_nothing() -> None:
    log_probs = torch.randn(1, 4, 5).log_softmax(-1)
    assert Rarity(Words(["left", "up", "go", "on"]), factor=1.0)(log_probs) is log_probs


@pytest.mark.parametrize(
    "tokens",
    [Characters("abc"), Words(["left", "up", "go", "on"]), Phonemes(["aɪ", "t", "ɹ"], {}, "en-us")],
)
def test_without_letters_beside_words_all_that_is_said_is_rare(tokens: Tokenizer) -> None:
    in_use = torch.randn(1, 4, 5).log_softmax(-1)
    as_trained = Rarity(tokens, factor=9.0)(in_use)
    raised = (as_trained - as_trained[..., :1]) - (in_use - in_use[..., :1])
    expected = torch.tensor([0.0] + [math.log(9.0)] * 4).expand_as(raised)
    torch.testing.assert_close(raised, expected)


@pytest.mark.parametrize("factor", [0.5, math.inf, math.nan, -3.0])
def test_what_is_no_rarity_is_refused(factor: float) -> None:
    with pytest.raises(ConfigError, match="must be a number of 1 or more"):
        Rarity(TOKENS, factor=factor)
