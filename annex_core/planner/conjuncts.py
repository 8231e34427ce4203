"""A Requirements expression as the conditions that all have to be true."""

import re
from collections.abc import Sequence
from functools import lru_cache

_TOKEN = re.compile(r""""(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|=\?=|=!=|&&|\|\||[][(){}?:]""", re.DOTALL)
"""Strings and quoted names whole, brackets, and the operators that bind as loosely as && or less."""
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_LOOSER = frozenset({"||", "?", ":"})
_KEPT = 4096


@lru_cache(_KEPT)
def conjuncts(text: str) -> tuple[str, ...]:
    """
    The parts of `a && (b && c)`: a, b and c. The whole is true only where every part is.

    What is no conjunction at its top, such as `a || b` or `a ? b : c`, is one part. Splitting too little is sound.
    """
    tokens = [(found.start(), found[0]) for found in _TOKEN.finditer(text)]
    ends, open_ = {}, []
    for at, (_, token) in enumerate(tokens):
        if token in _OPENING:
            open_.append(at)
        elif token in _CLOSING and open_:
            ends[open_.pop()] = at
    if open_:
        return (text.strip(),)
    return tuple(_split(text, 0, len(text), tokens, 0, len(tokens), ends))


def _split(
    text: str, start: int, end: int, tokens: Sequence[tuple[int, str]], first: int, last: int, ends: dict[int, int]
) -> list[str]:
    """The parts of text[start:end], whose tokens are tokens[first:last]."""
    part = text[start:end].strip()
    if first < last and tokens[first][1] == "(" and ends[first] == last - 1 and part[0] == "(" and part[-1] == ")":
        return _split(text, tokens[first][0] + 1, tokens[last - 1][0], tokens, first + 1, last - 1, ends)
    cuts = []
    at = first
    while at < last:
        sign = tokens[at][1]
        if sign in _LOOSER:
            return [part]
        if sign == "&&":
            cuts.append(at)
        at = ends.get(at, at) + 1
    if not cuts:
        return [part] if part else []
    found = []
    for cut in [*cuts, last]:
        stop = tokens[cut][0] if cut < last else end
        found += _split(text, start, stop, tokens, first, cut, ends)
        start, first = stop + 2, cut + 1
    return found
