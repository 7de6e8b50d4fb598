"""What papers say of small models for spoken commands.

    model -> weights, accuracy, what it was measured on, where that stands

They were trained on the full Speech Commands (Warden 2018) and measured on its own test sets, so
they give orientation to who looks at a curve of accuracy over size, and compare with nothing
measured elsewhere. Each figure stands in the source that is named with it.
"""

from dataclasses import dataclass

# What a model was measured on.
TWELVE = "Speech Commands V2, 12 classes"
WORDS = "Speech Commands V2, 35 words"
UNSTATED = "Speech Commands, 12 classes, version not stated"

_KIM = "Kim et al. 2021, arXiv 2106.04140, table 3"
_QUOTED = f"as quoted in {_KIM}"
# Its authors' list of models (NeMo) calls the set of V2 35 classes, and gives 98.2 and 98.4 % for
# trainings of the two on 12 classes.
_MATCHBOX = f"Majumdar and Ginsburg 2020, arXiv 2004.08531, {_QUOTED}"
_BERG = "Berg et al. 2021, arXiv 2104.00769, table of trained models in the authors' repository"
# The sheets give accuracy and 98756, 548468, 1652648 bytes of float32; weights follow from the
# layers' sizes (train_commands.txt of ML-KWS-for-MCU), normalisation folded into the convolutions.
_ARM = "Zhang et al. 2017, arXiv 1711.07128; accuracy of Arm's ML-zoo, float32 model sheet"


@dataclass(frozen=True)
class Published:
    """A model of a paper.

    Attributes:
        name: as its paper calls it.
        weights: that it has.
        accuracy: share that was right.
        split: what that was measured on.
        source: where it stands.
    """

    name: str
    weights: int
    accuracy: float
    split: str
    source: str


MODELS = (
    Published("BC-ResNet-1", 9_200, 0.969, TWELVE, _KIM),
    Published("BC-ResNet-1.5", 17_200, 0.976, TWELVE, _KIM),
    Published("BC-ResNet-2", 27_300, 0.978, TWELVE, _KIM),
    Published("BC-ResNet-3", 54_200, 0.982, TWELVE, _KIM),
    Published("BC-ResNet-6", 188_000, 0.986, TWELVE, _KIM),
    Published("BC-ResNet-8", 321_000, 0.987, TWELVE, _KIM),
    Published(
        "Att-RNN",
        202_000,
        0.969,
        TWELVE,
        f"de Andrade et al. 2018, arXiv 1808.08929, {_QUOTED}",
    ),
    Published(
        "MHAtt-RNN",
        743_000,
        0.980,
        TWELVE,
        f"Rybakov et al. 2020, arXiv 2005.06720, {_QUOTED}; 2 x 128 GRU in both directions with "
        "attention (a later training of the authors, 750 k weights: 98.4 %, kws_streaming)",
    ),
    Published("KWT-1", 607_000, 0.977, TWELVE, _BERG),
    Published("KWT-2", 2_400_000, 0.982, TWELVE, _BERG),
    Published("KWT-3", 5_500_000, 0.987, TWELVE, _BERG),
    Published("MatchboxNet-3x1x64", 77_000, 0.969, WORDS, _MATCHBOX),
    Published("MatchboxNet-3x2x64", 93_000, 0.972, WORDS, _MATCHBOX),
    Published("DS-CNN-S", 22_600, 0.9389, UNSTATED, _ARM),
    Published("DS-CNN-M", 135_000, 0.9427, UNSTATED, _ARM),
    Published("DS-CNN-L", 411_000, 0.9503, UNSTATED, _ARM),
)
