"""The key of an image: it changes with its inputs and with nothing else."""

import os
from pathlib import Path

import pytest

from e2e.images.inputs import key_of, read


def test_a_changed_byte_changes_the_key() -> None:
    assert key_of({"a": b"one", "b": b"two"}) != key_of({"a": b"one", "b": b"twO"})


def test_a_renamed_file_changes_the_key() -> None:
    assert key_of({"a": b"one"}) != key_of({"b": b"one"})


def test_contents_that_change_places_change_the_key() -> None:
    assert key_of({"a": b"one", "b": b"two"}) != key_of({"a": b"two", "b": b"one"})


def test_a_name_cannot_pretend_to_be_two_files() -> None:
    one, two = key_of({"a": b""}), key_of({"a": b"", "b": b""})
    assert one != two
    assert key_of({"a\nb": b""}) not in {one, two}


def test_the_order_in_which_files_were_found_does_not_matter() -> None:
    assert key_of({"a": b"one", "b": b"two"}) == key_of({"b": b"two", "a": b"one"})


def test_times_and_byte_code_are_no_inputs(tmp_path: Path) -> None:
    source = tmp_path / "package" / "module.py"
    source.parent.mkdir()
    source.write_text("answer = 42\n", encoding="utf-8")
    before = key_of(read([source.parent], below=tmp_path))

    os.utime(source, (1, 1))
    cache = source.parent / "__pycache__"
    cache.mkdir()
    (cache / "module.cpython-311.pyc").write_bytes(b"byte code")

    assert key_of(read([source.parent], below=tmp_path)) == before


def test_files_are_named_by_their_path_from_the_top(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.txt").write_bytes(b"x")
    assert read([tmp_path / "a"], below=tmp_path) == {"a/b/c.txt": b"x"}


def test_a_missing_input_is_an_error_and_not_an_empty_image(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-folder does not exist"):
        read([tmp_path / "no-such-folder"], below=tmp_path)
