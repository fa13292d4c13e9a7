"""The encrypted file: what goes in comes out, and nothing else is taken for it."""

import io

import pytest

from app.core.sealed_file import FRAME, SealedFileError, SealedReader, SealedWriter

KEY = b"k" * 32
KEYS = {"a": KEY}


def write(content: bytes, **header: object) -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, "a", KEY, header)
    for start in range(0, len(content), 300_000):
        writer.write(content[start : start + 300_000])
    writer.finish()
    assert writer.size == len(file.getvalue())
    return file.getvalue()


def read(file: bytes, keys: dict[str, bytes] = KEYS) -> bytes:
    return b"".join(SealedReader(io.BytesIO(file)).frames(keys))


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME + 17])
def test_what_goes_in_comes_out(size: int) -> None:
    content = bytes(index * 7 % 251 for index in range(size))
    assert read(write(content)) == content


def test_nothing_of_it_can_be_read_but_the_header() -> None:
    file = write(b"Rosa Diaz" * 1000, made="today")
    assert b"Rosa" not in file
    assert SealedReader(io.BytesIO(file)).header["made"] == "today"
    assert file != write(b"Rosa Diaz" * 1000, made="today")


@pytest.mark.parametrize("cut", [1, 20, FRAME, FRAME + 21, 2 * FRAME + 42, -30])
def test_a_file_that_is_cut_off(cut: int) -> None:
    """Also exactly behind a frame."""
    with pytest.raises(SealedFileError, match=r"cut off|beginning"):
        read(write(b"x" * (2 * FRAME + 100))[:-cut])


def test_every_changed_byte_is_noticed() -> None:
    file = write(b"content", made="today")
    for place in range(len(file)):
        changed = bytearray(file)
        changed[place] ^= 1
        with pytest.raises(SealedFileError):
            read(bytes(changed))


def test_frames_cannot_change_places_or_be_added() -> None:
    file = write(b"a" * FRAME + b"b" * FRAME + b"c")
    begin = len(file) - (5 + 16 + 1) - 2 * (5 + 16 + FRAME)
    size = 5 + 16 + FRAME
    first, second, last = (
        file[begin : begin + size],
        file[begin + size : begin + 2 * size],
        file[begin + 2 * size :],
    )
    for frames in (second + first + last, first + last, last, first + second + last + last):
        with pytest.raises(SealedFileError):
            read(file[:begin] + frames)


def test_the_wrong_key() -> None:
    file = write(b"content")
    with pytest.raises(SealedFileError, match="sealed with key a, which is not in ENCRYPTION_KEYS"):
        read(file, {"b": KEY})
    with pytest.raises(SealedFileError, match="key a is not the one"):
        read(file, {"a": b"x" * 32})


def test_another_kind_of_file() -> None:
    for file in (b"", b"PK\x03\x04" * 50, b"LVLSEAL1\xff\xff\xff\xff"):
        with pytest.raises(SealedFileError, match=r"not a backup|damaged"):
            read(file)
