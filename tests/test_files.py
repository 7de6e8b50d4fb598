"""Files are swapped whole: what stood there stays until its successor is complete."""

from pathlib import Path

import pytest

from linnet import files


def test_a_file_takes_its_place_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_text("old")
    with files.beside(path) as draft:
        draft.write_text("ne")
        assert path.read_text() == "old"
        draft.write_text("new")
    assert path.read_text() == "new"
    files.write_text(path, "caf\u00e9\n")
    assert path.read_bytes() == b"caf\xc3\xa9\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_in_the_middle_leaves_the_old_file_and_no_draft(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "some.json"
    path.write_text("old")

    def half_written() -> None:
        with files.beside(path) as draft:
            draft.write_text("ne")
            raise error

    with pytest.raises(type(error)):
        half_written()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_takes_no_file_does_not_hide_the_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def interrupted() -> None:
        with files.beside(tmp_path / "file" / "some.json"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(NotADirectoryError):
        files.write_text(tmp_path / "file" / "some.json", "new")
