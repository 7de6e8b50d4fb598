"""The configuration: every file fits what it feeds, and every mistake is one line."""

from pathlib import Path

import pytest

from linnet.apps import checking, config
from linnet.errors import ConfigError

VERBS = ("train", "evaluate", "export", "prepare", "streams")
OPTIONS = sorted(
    f"{path.parent.name}={path.stem}"
    for path in config.folder().glob("*/*.yaml")
    if path.parent.name != "experiment"
)
EXPERIMENTS = sorted(path.stem for path in config.folder().glob("experiment/*.yaml"))


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_fits_the_constructor_it_feeds(option: str) -> None:
    verb = "evaluate" if option.startswith("streams=") else "train"
    checking.check_targets(config.compose(verb, [option]))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("verb", ["train", "prepare"])
def test_every_experiment_composes(verb: str, experiment: str) -> None:
    composed = config.compose(verb, [f"experiment={experiment}"])
    checking.check_targets(composed)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_composes_without_a_word(verb: str) -> None:
    checking.check(verb, [])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("modle.cell=gru", "modle.cell: there is no such setting; did you mean 'model.cell'?"),
        ("model.cel=gru", "did you mean 'model.cell'?"),
        ("lr=0.1", "lr: there is no such setting; did you mean 'optimizer.lr'?"),
        ("model=bigur", "model=bigur: there is no such option; did you mean 'bigru'?"),
        ("model=bigru,bigur", "model=bigur: there is no such option"),
        ("data=librispeech", "there is no such option; known: "),
        ("experiment=comands12", "did you mean 'commands12'?"),
        ("model.layers=many", "expected a whole number like 3, got a text"),
        ("model.layers=2.5", "expected a whole number like 3, got a number"),
        ("model.layers=2,many", "expected a whole number like 3, got a text"),
        ("model.bidirectional=1", "expected true or false like True, got a whole number"),
        ("augment.waveform.speed=1", "expected a list like"),
        ("seed=", "seed=: expected a whole number"),
        ("model.layers", "write key=value"),
        ("~model.cel", "there is no such setting"),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_name(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checking.check("train", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override", ["optimizer.lr=1", "seed=0", "model.cell=gru,lstm", "trainer=cpu", "+new=1"]
)
def test_what_is_right_passes(override: str) -> None:
    checking.check("train", [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "+model.colour=red",
            "model.colour: linnet.normalised.NormalisedNetwork has no such setting",
        ),
        ("data.words=[1]", "data.words"),
        ("trainer.max_epochs=null", ""),
    ],
)
def test_a_value_that_the_constructor_does_not_take_is_named(override: str, message: str) -> None:
    composed = config.compose("train", [override])
    if not message:
        checking.check_targets(composed)
        return
    with pytest.raises(ConfigError, match=message):
        checking.check_targets(composed)


def test_a_seed_of_0_is_a_seed() -> None:
    assert config.compose("train", ["seed=0"]).seed == 0


@pytest.mark.parametrize(
    "value",
    [
        "a=b, c 'd' \\ e\\' f\\",
        ["x", 1, 2.5, None, True],
        {"train": 3, "nested": {"a": ["b", False]}},
        "\u00e9\u2581",
        "",
    ],
)
def test_a_literal_is_read_back_as_it_was(value: object) -> None:
    composed = config.compose("train", [f"+given={config.literal(value)}"])
    assert composed.given == value


def test_the_configuration_lies_beside_the_sources() -> None:
    assert config.folder() == Path(__file__).resolve().parent.parent / "conf"


def test_objects_are_built_from_plain_values_and_see_no_settings() -> None:
    composed = config.compose("train", ["compose=streams", "augment=effects"])
    assert type(config.build(composed.compose).length_s) is list
    assert type(config.build(composed.augment.waveform).speed) is list
