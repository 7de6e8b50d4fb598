"""What is frequent in training and rare in use: a network must be surer of it.

    training: log_softmax(z + s)    use: log_softmax(z)    s = log(rarity) at what is rare, else 0

Every other second of a training set holds a keyword, of what a spotter hears one in thousands; and
where no token is a word, all that is said is rarer than in training. So whole words are rare if
there are letters beside them, else every token but the blank.
Logits that are adjusted by the ratio of the two priors in training (Menon et al. 2021, "Long-tail
learning via logit adjustment", equation 10) are those of the rarer prior without it. Posteriors of
the prior of training weigh a keyword against the other keywords more than against all other speech:
a spotter whose biases were shifted back from a rarity of 5000 to 1 missed 15.1 % where it had
missed 8.2 %.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from linnet.errors import ConfigError
from linnet.text import Mixed, Tokenizer, is_whole


class Rarity(nn.Module):
    """Adjusts what is learnt by how much rarer whole words are in use.

    Args:
        tokenizer: names the tokens.
        factor: how many times rarer they are in use than in training, whole words among letters,
            else all tokens but the blank; 1 changes nothing.
    """

    shift: Tensor

    def __init__(self, tokenizer: Tokenizer, *, factor: float) -> None:
        super().__init__()
        if not 1 <= factor < math.inf:
            raise ConfigError(f"rarity={factor} must be a number of 1 or more; 1 changes nothing")
        rare = torch.ones(len(tokenizer.tokens), dtype=torch.bool)
        if isinstance(tokenizer, Mixed):
            rare = torch.tensor([is_whole(token) for token in tokenizer.tokens])
        rare[0] = False  # the blank
        self.factor = factor
        self.register_buffer("shift", rare * math.log(factor), persistent=False)

    @torch.no_grad()
    def start(self, head: nn.Linear) -> None:
        """Lower what a fresh network begins with, so that learning starts as without a shift."""
        head.bias.sub_(self.shift)

    def forward(
        self, log_probs: Float[Tensor, "batch steps tokens"]
    ) -> Float[Tensor, "batch steps tokens"]:
        """Give the log-probabilities as they would be if all were as frequent as here."""
        if self.factor == 1:
            return log_probs
        return torch.log_softmax(log_probs + self.shift, dim=-1)
