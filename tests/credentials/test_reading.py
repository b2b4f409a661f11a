"""Small files that are read as a whole: in their place may be a pipe."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from stopcast.credentials.files import UnusableError, pick_ini, pick_object, read_text


def test_a_pipe_without_a_writer_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TimeoutError, match="a pipe that was not filled and closed"):
        read_text(tmp_path / "pipe")


def test_a_pipe_whose_writer_never_ends_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = ["/bin/sh", "-c", 'exec yes > "$0"', str(tmp_path / "pipe")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL), pytest.raises(OSError, match="larger than 4 MB"):
        read_text(tmp_path / "pipe")


def test_a_pipe_whose_writer_writes_and_stays_is_given_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = ["/bin/sh", "-c", 'exec > "$0"; echo x; exec sleep 60', str(tmp_path / "pipe")]
    with subprocess.Popen(command) as writer:
        with pytest.raises(TimeoutError):
            read_text(tmp_path / "pipe")
        writer.kill()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_device_without_an_end_is_refused(device: str) -> None:
    with pytest.raises(OSError, match="larger than 4 MB"):
        read_text(Path(device))


def test_a_pipe_whose_writer_is_slow_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    text = "[accounts.a]\n" * 20_000
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=[text])
    writer.start()
    assert read_text(tmp_path / "pipe")[0] == text
    writer.join()


@pytest.mark.parametrize("text", ["", "x"])
def test_an_inherited_pipe_whose_writer_has_ended_is_read(text: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, text.encode())
    os.close(writing)
    assert read_text(Path(f"/dev/fd/{reading}"))[0] == text
    os.close(reading)


def test_a_file_is_read_without_its_mark_and_with_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb")
    path.chmod(0o640)
    text, mode = read_text(path)
    assert (text, mode & 0o777) == ("a\nb", 0o640)
    with pytest.raises(IsADirectoryError):
        read_text(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"ak":"first","ak":"second","sk":"s"}', "a key of an object stands twice"),
        ('{"ak":"a","sk":"s","x":{"y":1,"y":2}}', "a key of an object stands twice"),
        # How deep is too deep depends on the version of Python, up to 1,024.
        ('{"ak":' + "[" * 5000 + "]" * 5000 + "}", "not JSON"),
        ('{"ak":' + "[" * 5000, "not JSON"),
    ],
)
def test_an_object_that_can_be_read_in_two_ways_or_not_at_all_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnusableError) as caught:
        pick_object(text, None)
    assert caught.value.reason.startswith(reason)


def test_a_key_and_its_secret_are_taken_from_one_section() -> None:
    text = "[DEFAULT]\naccess_key_id = a\n[default]\nsecret_access_key = s\n"
    assert dict(pick_ini(text, None).by_name) == {"secret_access_key": "s"}
