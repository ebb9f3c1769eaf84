"""The service's own figures: for Prometheus, and as the console's fallback of the audit list."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from audit.condition import journal_condition, proof_condition
from audit.journal import JournalUnavailable
from diagnostics.memory import get_memory_stats
from diagnostics.probes import Finding, run_probes
from techno.database.current import store
from techno.database.errors import StoreError
from techno.governance.principal import Principal
from techno.governance.trace import Trace

_COUNTERS = {
    "techno_requests_total": "requests_total",
    "techno_reason_codes_total": "reason_codes_total",
    "techno_audit_write_failures_total": "audit_write_failures_total",
    "techno_audit_write_seconds_count": "audit_writes_total",
    "techno_audit_write_seconds_sum": "audit_write_seconds_total",
    "techno_run_duration_seconds_count": "runs_total",
    "techno_run_duration_seconds_sum": "run_seconds_total",
}


def registry() -> CollectorRegistry:
    """Return the figures of all processes of this host, or of this one where it is alone."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    joined = CollectorRegistry()
    multiprocess.MultiProcessCollector(joined)  # type: ignore[no-untyped-call]
    return joined


def exposition() -> bytes:
    """Return everything in Prometheus' text format."""
    conditions = CollectorRegistry()
    conditions.register(_Conditions())
    return generate_latest(registry()) + generate_latest(conditions)


def condition_values() -> dict[str, float]:
    """Return the figures of journal and proof; what cannot be told is left out."""
    values: dict[str, float] = {}
    with suppress(JournalUnavailable):
        waits = journal_condition()
        values.update(
            journal_records=waits.records,
            journal_bytes=waits.bytes,
            journal_oldest_s=round(waits.oldest_s or 0.0, 1),
            journal_damaged_segments=waits.damaged_segments,
        )
        if waits.last_replay_s is not None:
            values["journal_last_replay_s"] = round(waits.last_replay_s, 1)
    with suppress(StoreError):
        proof = proof_condition()
        values.update(
            audit_sealed_rows=proof.sealed_rows,
            audit_unsealed_rows=proof.unsealed_rows,
            audit_unsealed_s=round(proof.unsealed_s, 1),
            audit_signed_rows=proof.signed_rows or 0,
            audit_signing_refused=int(bool(proof.refusal)),
        )
    return values


class _Conditions(Collector):
    """Journal and proof as Prometheus gauges, asked for at each scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield one gauge a figure."""
        for name, value in condition_values().items():
            yield GaugeMetricFamily(f"techno_{name}", name.replace("_", " "), value=value)


def current_values() -> dict[str, Any]:
    """Return the figures that a person asks for first, as one flat object."""
    values: dict[str, Any] = dict.fromkeys(_COUNTERS.values(), 0)
    by_status: dict[str, float] = {}
    for family in registry().collect():
        for sample in family.samples:
            name = _COUNTERS.get(sample.name)
            if name is None:
                continue
            values[name] += sample.value
            if name == "requests_total":
                status = sample.labels.get("status", "")
                by_status[status] = by_status.get(status, 0) + sample.value
    for status, count in sorted(by_status.items()):
        values[f"requests_{status.lower()}_total"] = count
    figures = get_memory_stats()
    values.update(
        process_rss_bytes=figures.process_rss,
        host_memory_percent=figures.percent,
        host_cpu_percent=figures.cpu_percent,
        uptime_s=figures.uptime_s,
        database_away_s=round(store().circuit.away_s, 1),
        **condition_values(),
    )
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }


def diagnostic_entries(trace: Trace, session_id: str, principal: Principal) -> list[dict[str, Any]]:
    """Return what the probes found, each as an entry of the audit list's shape."""
    return [_entry(finding, trace, session_id, principal) for finding in run_probes()]


def _entry(finding: Finding, trace: Trace, session_id: str, principal: Principal) -> dict[str, Any]:
    return {
        "timestamp": trace.timestamp,
        "action": finding.name,
        "result": finding.status.result,
        "state": finding.status.value,
        "execution_id": None,
        "trace_id": trace.trace_id,
        "reason_codes": [code.code for code in finding.reason_codes],
        "session_id": session_id,
        "user_ip": trace.client_address,
        "http_status": 200,
        "duration_ms": finding.duration_ms,
        "key": principal.key_prefix,
    }
