"""What became of a request to run."""

from __future__ import annotations

from collections.abc import Mapping

from executor.engine import Result
from techno.governance.frozen import frozen
from techno.governance.verdict import Verdict


@frozen
class Ran:
    """The verdict, and the result if anything was started.

    ``preview`` is what a dry run tells beside the verdict, ``approval`` what a run waits for.
    ``replayed`` says that it is the answer to an earlier request of the same name.
    """

    verdict: Verdict
    result: Result | None = None
    preview: Mapping[str, object] | None = None
    approval: Mapping[str, object] | None = None
    replayed: bool = False
