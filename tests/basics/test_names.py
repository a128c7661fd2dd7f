"""What is a name, and which paths stay below a folder."""

import os
import pathlib

import pytest

from basics.errors import InputError
from basics.files import read_json
from basics.names import inside, is_name, require_name
from tests.basics.bad_names import BAD, IDS

FOLDER = pathlib.Path("a")


@pytest.mark.parametrize("name", ["Jogging.1", "a b", ".x", "é", "x" * 200, "Ball@tre-3", "-"])
def test_a_name_is_its_own_path(name):
    assert require_name(name) == name
    assert inside(FOLDER, name) == FOLDER / name


@pytest.mark.parametrize("name", BAD, ids=IDS)
def test_what_is_no_name_is_refused_in_a_short_sentence(name):
    assert not is_name(name)
    for call in (require_name, lambda name: inside(FOLDER, name)):
        with pytest.raises(InputError) as refused:
            call(name)
        message = str(refused.value)
        assert len(message) < 150 and message.isprintable()


def test_a_path_goes_down_only():
    assert inside(FOLDER, "./b//c.jpg") == FOLDER / "b" / "c.jpg"
    for path in ("b/../c", "b/../../c", "//b/c", "b/" + "x" * 201, "b/" * 600):
        with pytest.raises(InputError, match="is no path below a: correct it"):
            inside(FOLDER, path)


def test_a_pipe_is_no_file_to_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe is no regular file: give a file"):
        read_json(tmp_path / "pipe")
