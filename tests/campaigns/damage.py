"""What can happen to a file: cut off, bytes changed, parts repeated, another value in its JSON."""

import json

from hypothesis import strategies as st

SNIPPETS = (
    *(b"", b",", b"\n", b"\r", b" ", b"\t", b"-", b".", b"nan", b"inf", b"1e400", b"0x1", b"1_0"),
    *(b"m", b'"', b"=", b"/", b"..", b"../x", b"%08d", b"\x00", b"\xff\xfe", b"\xed\xa0\x80"),
    *(b"9" * 30, b"9" * 5000, b"[", b"{", b"null", b"true", b"[" * 100_000, b"-1", b"1e-400"),
    *("\N{ARABIC-INDIC DIGIT THREE}".encode(), b"Infinity", b"x" * 300),
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["../x", "", "x" * 300, -1, 10**9, 10**30]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_PLACES = st.floats(0, 1)


def replaced(whole, place, length, snippet):
    """A part of the bytes replaced."""
    start = int(place * len(whole))
    return whole[:start] + snippet + whole[start + length :]


def repeated(whole, place, length):
    """A part of the bytes twice."""
    start = int(place * len(whole))
    return whole[: start + length] + whole[start:]


def flipped(whole, place, bit):
    """One bit changed."""
    start = min(int(place * len(whole)), len(whole) - 1)
    if start < 0:
        return whole
    return whole[:start] + bytes([whole[start] ^ 1 << bit]) + whole[start + 1 :]


def revalued(whole, place, value):
    """A node of a JSON document replaced; bytes that are none stay."""
    try:
        document = json.loads(whole)
    except (ValueError, RecursionError):
        return whole
    nodes = list(_nodes(document))
    if not nodes:
        return json.dumps(value).encode()
    parent, key = nodes[min(int(place * len(nodes)), len(nodes) - 1)]
    parent[key] = value
    return json.dumps(document).encode()


def _nodes(document):
    """Every entry of a document: what holds it, and its key or index there."""
    if isinstance(document, dict | list):
        items = document.items() if isinstance(document, dict) else enumerate(document)
        for key, value in list(items):
            yield document, key
            yield from _nodes(value)


_PARTS = st.sampled_from(SNIPPETS) | st.binary(max_size=12)
_EDITS = (
    st.builds(lambda place: lambda whole: whole[: int(place * len(whole))], _PLACES)
    | st.builds(
        lambda place, length, snippet: lambda whole: replaced(whole, place, length, snippet),
        *(_PLACES, st.integers(0, 8), _PARTS),
    )
    | st.builds(
        lambda place, length: lambda whole: repeated(whole, place, length),
        *(_PLACES, st.integers(1, 40)),
    )
    | st.builds(
        lambda place, bit: lambda whole: flipped(whole, place, bit), _PLACES, st.integers(0, 7)
    )
    | st.builds(lambda data: lambda whole: data, st.binary(max_size=50))
)
_JSON = st.builds(lambda place, value: lambda whole: revalued(whole, place, value), _PLACES, VALUES)


def damages(json_too):
    """One to three edits of a file's bytes; half of those of JSON keep it JSON."""
    edits = _EDITS | _JSON if json_too else _EDITS
    return st.lists(edits, min_size=1, max_size=3).map(_chained)


def _chained(edits):
    def damage(whole):
        for edit in edits:
            whole = edit(whole)
        return whole

    return damage
