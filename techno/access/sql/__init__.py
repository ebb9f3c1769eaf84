"""The SQL that matters, one named file each, read once."""

from functools import cache
from pathlib import Path

_DIRECTORY = Path(__file__).resolve().parent


@cache
def statement(name: str) -> str:
    """Return the text of ``access/sql/<name>.sql``."""
    return (_DIRECTORY / f"{name}.sql").read_text(encoding="utf-8")
