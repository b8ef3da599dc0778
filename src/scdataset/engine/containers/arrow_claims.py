"""Bytes that compressed record batches of Arrow say they take, which pyarrow makes room for before it decodes them.

Each buffer of such a batch begins with its size when it is decompressed, and pyarrow decompresses no more than that;
but it tells neither the size nor whether there is one, so the messages are read here:
https://arrow.apache.org/docs/format/Columnar.html#compression, and https://flatbuffers.dev/internals for their form.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa

__all__ = ["claimed_size"]

_NOT_COMPRESSED = -1
"""Size of a buffer that is stored as it is."""

_HEADER, _DATA, _BUFFERS, _COMPRESSION = 2, 1, 2, 3
"""Numbers of fields: of a message, of a dictionary, and of a record batch."""


def claimed_size(stream: pa.Buffer) -> tuple[int, int]:
    """Return the record batches of a stream, and the bytes that compressed ones and dictionaries say they take.

    It ends at the first bytes that are no message, such as the footer of a file; reading the stream fails there too.

    Parameters
    ----------
    stream
        A buffer of pyarrow that begins with the first message.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a message is damaged.
    """
    n_batches = n_bytes = 0
    for message in _messages(stream):
        if message.type in {"record batch", "dictionary"}:
            n_batches += message.type == "record batch"
            n_bytes += _claimed(message)
    return n_batches, n_bytes


def _messages(stream: pa.Buffer) -> Iterator[pa.Message]:
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(stream))
    while True:
        try:
            yield reader.read_next_message()
        except (StopIteration, pa.ArrowInvalid, OSError):
            return


def _claimed(message: pa.Message) -> int:
    view = memoryview(message.metadata)
    try:
        batch = _table_at(view, _field(view, _table_at(view, 0), _HEADER))
        if message.type == "dictionary":
            batch = _table_at(view, _field(view, batch, _DATA))
        if _field(view, batch, _COMPRESSION) is None:
            return 0
        places = _table_at(view, _field(view, batch, _BUFFERS))
        (n_buffers,) = struct.unpack_from("<I", view, places)
        buffers = struct.iter_unpack("<qq", view[places + 4 : places + 4 + 16 * n_buffers])
        body = memoryview(message.body)
        return sum(_decompressed(body, offset, size) for offset, size in buffers)
    except (struct.error, TypeError, IndexError) as error:
        text = f"a message of the stream is damaged: {error}"
        raise pa.ArrowInvalid(text) from error


def _decompressed(body: memoryview, offset: int, size: int) -> int:
    if size == 0:
        return 0
    (said,) = struct.unpack_from("<q", body, offset)
    return size if said == _NOT_COMPRESSED else max(int(said), 0)


def _table_at(view: memoryview, place: int | None) -> int:
    """Return where the table, or vector, is that a place refers to; TypeError if there is no such place."""
    if place is None:
        text = "it lacks a field"
        raise TypeError(text)
    return place + int(struct.unpack_from("<I", view, place)[0])


def _field(view: memoryview, table: int, number: int) -> int | None:
    """Return where a field of a table is, or None if it is left out."""
    fields = table - struct.unpack_from("<i", view, table)[0]
    (n_bytes,) = struct.unpack_from("<H", view, fields)
    at = 4 + 2 * number
    offset = struct.unpack_from("<H", view, fields + at)[0] if at < n_bytes else 0
    return table + int(offset) if offset else None
