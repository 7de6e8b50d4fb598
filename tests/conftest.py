"""Options and fixtures that all tests share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
RECORDINGS = Path(os.environ.get("LINNET_RECORDINGS", REPOSITORY.parent / "shared" / "data"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run the trainings")
    parser.addoption("--gpu", action="store_true", help="also run what needs CUDA")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for mark in ("slow", "gpu"):
        if not config.getoption(f"--{mark}"):
            for item in items:
                if mark in item.keywords:
                    item.add_marker(pytest.mark.skip(reason=f"run with --{mark}"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Real recordings, which are not part of a release."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"no real recordings in {RECORDINGS}; set LINNET_RECORDINGS to their folder")
    return RECORDINGS
