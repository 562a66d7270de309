"""Templates of log messages: the message without the numbers, ids and quoted texts that differ from line to line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tracekit.analysis.exceptions import message_template

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracekit.columns import Array

_READ: Final = 2_000  # characters of a message that message_template reads
_PIECE: Final = 50_000  # messages that are read as one text
_END: Final = "\2"
_MARKS: Final = frozenset("\0\1\2\3")  # of hexadecimal prefixes, ids and ends
_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_UUID: Final = r"\b[0a-fA-F]{8}-(?:[0a-fA-F]{4}-){3}[0a-fA-F]{12}\b"  # where all digits are 0
_WORD: Final = r"\b(?=[a-fA-F]*0)(?=0*[a-fA-F])[0a-fA-F]{6,}\b"  # hexadecimal, with a letter and a digit
_PREFIX: Final = "_\0_"  # for 0x; of word characters outside, so that words end where they did
_HEX: Final = rf"\b{_PREFIX}[0a-fA-F]+\b"
_IDS: Final = ((_UUID, "\3"), (_HEX, "\1"), (_WORD, "\1"))
_IN_TEXT: Final = [(re.compile(pattern), mark) for pattern, mark in _IDS]
_IN_BYTES: Final = [(re.compile(pattern.encode()), mark.encode()) for pattern, mark in _IDS]


def templates(messages: Sequence[str]) -> tuple[Array, list[str]]:
    """Return for each message the number of its template, and the templates.

    Messages that differ in digits and ids only have the same template, which is computed once.

    Parameters
    ----------
    messages
        Any texts.

    Returns
    -------
    tuple
        int64 codes, and the templates in order of their first message.

    Examples
    --------
    >>> templates(["order 17 paid", "order 230 paid", "cart 0x5f is empty"])
    (array([0, 0, 1]), ['order <n> paid', 'cart <hex> is empty'])
    """
    if not len(messages):
        return np.zeros(0, np.int64), []
    shape, first = _distinct(_shapes(messages))
    code, at = _distinct([message_template(messages[row]) for row in first])
    texts = [message_template(messages[first[row]]) for row in at]
    return code[shape], texts


def _shapes(messages: Sequence[str]) -> list[str]:
    """Return texts that are equal only for messages with the same template: without digits and ids."""
    found: list[str] = []
    for low in range(0, len(messages), _PIECE):
        part = [message[:_READ] for message in messages[low : low + _PIECE]]
        whole = _END.join(part)
        if whole.isascii() and whole.count(_END) == len(part) - 1 and not any(mark in whole for mark in "\0\1\3"):
            data = _prefixed(whole).encode().translate(_DIGITS)
            for pattern, mark in _IN_BYTES:
                data = pattern.sub(mark, data)
            found += data.decode().split(_END)
        else:
            found += map(_shape, part)
    return found


def _prefixed(text: str) -> str:
    """Return a text with the mark of a hexadecimal prefix instead of each 0x."""
    return text.replace("0x", _PREFIX).replace("0X", _PREFIX)


def _shape(message: str) -> str:
    """Return the shape of one message; one that contains the marks of shapes is its own."""
    if not _MARKS.isdisjoint(message):
        return f"{_END}{message}"
    found = _prefixed(message).translate(_ZEROS)
    for pattern, mark in _IN_TEXT:
        found = pattern.sub(mark, found)
    return found


_ZEROS: Final = dict.fromkeys(map(ord, "123456789"), "0")


def _distinct(texts: Sequence[str]) -> tuple[Array, Array]:
    """Return the number of each text among the distinct ones, and where each of them is first."""
    codes, known = pd.factorize(np.array(texts, object))
    first = np.empty(len(known), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return np.asarray(codes, np.int64), first
