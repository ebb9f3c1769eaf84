"""A case: contenders measured in turns, and the ratios that are wanted between them.

The machine's load changes while we measure, so no figure is compared with one of another minute:
contenders take turns in short rounds, each ratio is formed within a round, and the median round
counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.load import Measured

Round = dict[str, Measured]


@dataclass(frozen=True)
class Target:
    """A wanted ratio; `of` forms it from one round, or is a plain figure of ours."""

    name: str
    of: Callable[[Round], float]
    limit: float
    at_least: bool = True

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def rule(self) -> str:
        return f"{self.name} {'≥' if self.at_least else '≤'} {self.limit:g}"


@dataclass(frozen=True)
class Case:
    """What is measured together. Contenders by name, in the order of the table."""

    title: str
    contenders: dict[str, Callable[[], Measured]]
    rounds: int
    targets: Sequence[Target] = ()


@dataclass(frozen=True)
class Outcome:
    """A case's medians over all rounds, and what each target came to."""

    title: str
    rounds: int
    medians: Round
    targets: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(case: Case) -> Outcome:
    """Measure all rounds of a case; every second one in reverse order."""
    rounds: list[Round] = []
    for number in range(case.rounds):
        names = list(case.contenders)
        if number % 2:
            names.reverse()
        rounds.append({name: case.contenders[name]() for name in names})
    return Outcome(
        title=case.title,
        rounds=case.rounds,
        medians={name: _median([each[name] for each in rounds]) for name in case.contenders},
        targets=[_judge(target, rounds) for target in case.targets],
    )


def requests_ratio(ours: str, floor: str) -> Callable[[Round], float]:
    """How many of the floor's requests per second we reach."""
    return lambda each: each[ours].requests_per_s / each[floor].requests_per_s


def p50_ratio(ours: str, floor: str) -> Callable[[Round], float]:
    """How many times the floor's median latency we take."""
    return lambda each: each[ours].p50_ms / each[floor].p50_ms


def p99_ratio(ours: str, floor: str) -> Callable[[Round], float]:
    """How many times the floor's 99th percentile we take."""
    return lambda each: each[ours].p99_ms / each[floor].p99_ms


def _median(measured: Sequence[Measured]) -> Measured:
    def middle(name: str) -> float:
        return statistics.median(getattr(each, name) for each in measured)

    return Measured(
        requests_per_s=middle("requests_per_s"),
        p50_ms=middle("p50_ms"),
        p99_ms=middle("p99_ms"),
        errors=sum(each.errors for each in measured),
        answered=sum(each.answered for each in measured),
        generator_share=middle("generator_share"),
        web_us=middle("web_us"),
        database_us=middle("database_us"),
    )


def _judge(target: Target, rounds: Sequence[Round]) -> dict[str, Any]:
    values = [target.of(each) for each in rounds]
    value = statistics.median(values)
    return {
        "rule": target.rule(),
        "value": value,
        "lowest": min(values),
        "highest": max(values),
        "met": target.is_met(value),
    }
