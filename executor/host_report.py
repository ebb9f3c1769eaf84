"""What the shipped actions print: a few readable lines about the host, from ``/proc``.

A program of its own, started with ``python -I``: standard library only, so that it works on a
bare system where ``ps``, ``free`` and ``ip`` are not installed.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

LISTED_PROCESSES = 25
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def human(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"


def _meminfo() -> dict[str, int]:
    """Return /proc/meminfo in bytes."""
    found = {}
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        found[name] = int(rest.split()[0]) * 1024
    return found


def uptime() -> str:
    """Since when the host runs, and how busy it is."""
    up_s = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    days, rest = divmod(int(up_s), 86_400)
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - up_s))
    one, five, fifteen = os.getloadavg()
    return (
        f"up     {days} d {rest // 3600} h {rest % 3600 // 60} min, since {since}\n"
        f"load   {one:.2f} {five:.2f} {fifteen:.2f} on {os.cpu_count()} CPUs"
    )


def memory() -> str:
    """Memory and swap."""
    info = _meminfo()
    used = info["MemTotal"] - info["MemAvailable"]
    swap = info["SwapTotal"] - info["SwapFree"]
    return (
        f"memory {human(used)} of {human(info['MemTotal'])} used"
        f" ({used * 100 / info['MemTotal']:.0f} %), {human(info['MemAvailable'])} available\n"
        f"swap   {human(swap)} of {human(info['SwapTotal'])} used"
    )


def disk() -> str:
    """The root file system."""
    found = os.statvfs("/")
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return f"disk / {human(total - free)} of {human(total)} used, {human(free)} available"


def status() -> str:
    """Everything in a few lines."""
    count = sum(1 for entry in os.listdir("/proc") if entry.isdigit())
    return "\n".join(
        [f"host   {socket.gethostname()}", uptime(), memory(), disk(), f"procs  {count}"]
    )


def version() -> str:
    """Versions of what runs here."""
    settings = Path(__file__).resolve().parent.parent / "techno" / "settings.py"
    match = re.search(r'^VERSION = "([^"]+)"', settings.read_text(encoding="utf-8"), re.MULTILINE)
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    return "\n".join(
        [
            f"Techno OS {match.group(1) if match else 'unknown'}",
            f"Python    {platform.python_version()}",
            f"kernel    {platform.release()} {platform.machine()}",
            f"system    {system}",
        ]
    )


def _process(pid: str) -> tuple[int, str] | None:
    """Return a process's resident bytes and its line, ``None`` when it has just gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
    resident = int(fields.get("VmRSS", "0").split()[0]) * 1024
    owner = int(fields["Uid"].split()[0])
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    return resident, (
        f"{pid:>8} {name[:16]:16} {fields['Threads'].strip():>7} {human(resident):>10}"
        f"  {fields['Name'].strip()}"
    )


def processes() -> str:
    """The processes that hold most memory."""
    found = [_process(pid) for pid in os.listdir("/proc") if pid.isdigit()]
    rows = sorted((row for row in found if row), reverse=True)
    head = f"{'PID':>8} {'OWNER':16} {'THREADS':>7} {'MEMORY':>10}  NAME"
    rest = len(rows) - LISTED_PROCESSES
    tail = [f"… and {rest} more"] if rest > 0 else []
    return "\n".join([head, *(line for _, line in rows[:LISTED_PROCESSES]), *tail])


def _addresses() -> dict[str, list[str]]:
    """Return each interface's addresses."""
    found: dict[str, list[str]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        import fcntl

        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), 0x8915, request)  # SIOCGIFADDR
            except OSError:
                continue  # no IPv4 address
            found.setdefault(name, []).append(socket.inet_ntoa(answer[20:24]))
    six = Path("/proc/net/if_inet6")
    if six.exists():
        for line in six.read_text(encoding="ascii").splitlines():
            digits, *_, name = line.split()
            found.setdefault(name, []).append(
                socket.inet_ntop(socket.AF_INET6, bytes.fromhex(digits))
            )
    return found


def network() -> str:
    """Interfaces with state, addresses and traffic."""
    addresses = _addresses()
    lines = []
    for _, name in socket.if_nameindex():
        base = Path("/sys/class/net") / name
        try:
            state = (base / "operstate").read_text(encoding="ascii").strip()
            into = int((base / "statistics/rx_bytes").read_text(encoding="ascii"))
            out = int((base / "statistics/tx_bytes").read_text(encoding="ascii"))
            traffic = f"in {human(into)}, out {human(out)}"
        except OSError:
            state, traffic = "unknown", "traffic unknown"
        listed = ", ".join(addresses.get(name, [])) or "no address"
        lines.append(f"{name:12} {state:8} {listed}  ({traffic})")
    return "\n".join(lines) or "no network interfaces"


REPORTS: dict[str, Callable[[], str]] = {
    "status": status,
    "version": version,
    "uptime": uptime,
    "memory": memory,
    "processes": processes,
    "network": network,
}


def main(arguments: list[str]) -> int:
    """Print the report that the only argument names; return the exit code."""
    if len(arguments) != 1 or arguments[0] not in REPORTS:
        print(f"usage: host_report.py {'|'.join(REPORTS)}", file=sys.stderr)
        return 2
    print(REPORTS[arguments[0]]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
