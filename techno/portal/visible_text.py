"""Free text for a page: whatever is invisible or steers a terminal or a reader is shown instead.

HTML escaping keeps a text from being markup; it does not keep it from lying. A bidirectional mark
reorders what is read, an escape sequence hides, a carriage return overwrites. Here each of them
becomes a sign that can be seen and copied.
"""

from __future__ import annotations

import re

_HIDDEN = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, save tab and newline
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"  # look like nothing
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"  # zero width, separators, direction
    "\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff"  # halves of characters, which cannot be sent at all
    "\U000e0000-\U000e0fff"  # tags
    "]"
)
_NAMES = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "TAB", "LF", "VT", "FF", "CR"),
    *("SO", "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB"),
    *("ESC", "FS", "GS", "RS", "US"),
)
_DELETE = 0x7F


def _sign(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < len(_NAMES):
        return f"⟦{_NAMES[code]}⟧"
    return "⟦DEL⟧" if code == _DELETE else f"⟦U+{code:04X}⟧"


def make_visible(text: str) -> str:
    """Return ``text`` with a visible sign for each hidden character.

    Tabs and newlines stay, a CR LF is a newline, joiners stay because scripts need them.
    """
    return _HIDDEN.sub(_sign, text.replace("\r\n", "\n"))


def make_line(text: str) -> str:
    """Return ``text`` like :func:`make_visible`, on one line."""
    return make_visible(text).replace("\n", "⟦LF⟧").replace("\t", "⟦TAB⟧")
