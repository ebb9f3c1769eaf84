"""Actions as code and as data: files, versions, the rows that changes leave, and the way back."""

from __future__ import annotations

import io
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, connections, transaction

from audit.models import AuditTrace
from executor.action_changes import delete_action, save_action, switch_action
from executor.action_export import exported
from executor.action_files import BadActionFile, plan, read_actions
from executor.definitions import definition_of, digest_of
from executor.models import Action, ActionVersion
from executor.registry import find_action
from executor.toml_lines import Lines
from techno.acts import governed_command

pytestmark = pytest.mark.usefixtures("database")
LETTERS = str.maketrans("0123456789abcdef", "ABCDEFGHIJKLMNOP")


@pytest.fixture
def name() -> str:
    return f"F_{uuid.uuid4().hex[:20]}".translate(LETTERS)


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def load(path: Path) -> list[str]:
    """Load a file as the command does; return what became of each action."""
    planned = plan(read_actions(path))
    for each in planned:
        if each.kind != "unchanged":
            save_action(governed_command("actions.load"), each.action)
    return [each.kind for each in planned]


def rows(name: str) -> list[tuple[str, dict[str, Any]]]:
    """The audit rows about an action, oldest first."""
    found = AuditTrace.objects.filter(action__startswith="action.").order_by("trace_id")
    return [(row.action, row.detail) for row in found if row.detail.get("of") == name]


FULL = """
[action.{name}]
description = "Copies. \\"Twice\\" \\u00e9 \\u007f"
argv = ["cp", "--", "{{from}}", "{{project}}/x", "n={{n}}"]
timeout_s = 2.5
environment = {{ LC_ALL = "C", "A" = "a b" }}
working_directory = "/"
async = true
queue = "host-a"
max_running = 2
max_queued = 3
when_full = "refuse"
approvals_needed = 2
approver_groups = ["ops"]
approval_ttl_s = 600
reason_pattern = "T-[0-9]+"
[action.{name}.parameters.from]
type = "string"
pattern = "[a-z]+\\\\.txt"
[action.{name}.parameters.n]
type = "integer"
default = 1
[action.{name}.parameters.token]
type = "secret"
pass_as = "env:TOKEN"
[action.{name}.isolation]
cpu_s = 5
no_new_privs = true
"""


def test_a_file_is_loaded_once_and_then_stands(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, FULL.format(name=name))
    assert load(path) == ["created"]
    assert load(path) == ["unchanged"]
    action = find_action(name)
    assert action is not None
    assert action.argv[0] == "/usr/bin/cp"  # looked up once, here
    assert (action.is_async, action.queue, action.version) == (True, "host-a", 1)
    assert [row[0] for row in rows(name)] == ["action.create"]


def test_what_is_exported_loads_into_the_same(tmp_path: Path, name: str) -> None:
    load(write(tmp_path, FULL.format(name=name)))
    action = Action.objects.get(name=name)
    text = exported([action])
    assert "{project}/x" in text
    (again,) = read_actions(write(tmp_path, text))
    assert definition_of(again) == definition_of(action)


def test_all_that_ships_can_be_exported_and_read(tmp_path: Path) -> None:
    # Of this database only what ships: other tests leave actions in it that are broken on purpose.
    actions = list(Action.objects.filter(source="default.toml").order_by("name"))
    assert len(actions) >= 12
    again = read_actions(write(tmp_path, exported(actions)))
    assert {one.name: digest_of(definition_of(one)) for one in again} == {
        one.name: digest_of(definition_of(one)) for one in actions
    }


def test_each_change_is_a_version_and_a_row_with_the_difference(tmp_path: Path, name: str) -> None:
    text = f'[action.{name}]\nargv = ["/bin/true"]\n'
    load(write(tmp_path, text))
    assert load(write(tmp_path, text + "timeout_s = 3\n")) == ["changed"]
    kept = ActionVersion.objects.filter(action=name).order_by("version")
    assert [(one.version, one.snapshot["timeout_s"]) for one in kept] == [(1, 15.0), (2, 3.0)]
    assert len({one.digest for one in kept}) == 2
    (_, (verb, detail)) = rows(name)
    assert verb == "action.change"
    assert (detail["before.timeout_s"], detail["after.timeout_s"]) == ("15.0", "3.0")
    assert detail["version"] == 2
    trace = AuditTrace.objects.get(trace_id=kept[1].trace_id)
    assert (trace.action, trace.principal_kind) == ("action.change", "system")


def test_switching_is_a_row_and_no_version_and_outlives_a_load(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f'[action.{name}]\nargv = ["/bin/true"]\n')
    load(path)
    assert switch_action(governed_command("actions.disable"), name, enabled=False)
    assert not switch_action(governed_command("actions.disable"), name, enabled=False)
    assert load(path) == ["unchanged"]
    action = find_action(name)
    assert action is not None
    assert (action.enabled, action.version) == (False, 1)
    assert switch_action(governed_command("actions.enable"), name, enabled=True)
    assert [row[0] for row in rows(name)] == ["action.create", "action.disable", "action.enable"]


def test_history_outlives_the_action_and_goes_on(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, f'[action.{name}]\nargv = ["/bin/true"]\n')
    load(path)
    delete_action(governed_command("actions.delete"), Action.objects.get(name=name))
    assert find_action(name) is None
    assert load(path) == ["created"]
    assert Action.objects.get(name=name).version == 2
    assert [row[0] for row in rows(name)] == ["action.create", "action.delete", "action.create"]


def test_history_is_only_ever_added_to() -> None:
    for change in (
        ActionVersion.objects.all().delete,
        lambda: ActionVersion.objects.update(version=0),
    ):
        with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
            change()


def test_an_action_older_than_its_history_begins_it(name: str) -> None:
    action = Action.objects.create(name=name, argv=["/bin/true"], source="old.toml")
    changed = Action(name=name, argv=["/bin/false"], source="old.toml")
    save_action(governed_command("actions.load"), changed)
    kept = ActionVersion.objects.filter(action=name).order_by("version")
    assert [(one.version, one.snapshot["argv"]) for one in kept] == [
        (1, ["/bin/true"]),
        (2, ["/bin/false"]),
    ]
    action.refresh_from_db()
    assert action.version == 2


BAD = """\
[action.GOOD_ONE]
argv = ["/bin/true"]

[action.BAD_ONE]
description = "x"
argv = ["no-such-program-here", "{x}"]
timeout = 5

[action.bad]
argv = ["/bin/true"]

[action.BAD_TWO]
argv = ["/bin/echo", "{x}"]
timeout_s = nan
[action.BAD_TWO.parameters.x]
type = "string"
pattern = "(a"
[action.BAD_TWO.isolation]
cpu_s = 0

[actions.TYPO]
argv = ["/bin/true"]
"""


def test_a_bad_file_is_refused_whole_with_every_fault_and_its_line(tmp_path: Path) -> None:
    with pytest.raises(BadActionFile) as error:
        read_actions(write(tmp_path, BAD))
    told = str(error.value).splitlines()
    starts = [
        "mine.toml:21: actions: only tables",
        "mine.toml:7: action.BAD_ONE: timeout is not a field.",
        "mine.toml:9: action.bad: name: 3 to 32",
        "mine.toml:17: action.BAD_TWO: parameters: parameters.x.pattern is no regular expression",
        "mine.toml:19: action.BAD_TWO: isolation: isolation.cpu_s must be",
        "mine.toml:14: action.BAD_TWO: timeout_s: The time limit must be a number.",
    ]
    assert sorted(told) == sorted(
        line for line in told if any(line.startswith(start) for start in starts)
    )
    assert len(told) == len(starts), told
    assert not Action.objects.filter(name="GOOD_ONE").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[action.X\n", "mine.toml:1: "),
        ('[action.ABC]\nargv = ["/bin/true"]\nargv = []\n', "mine.toml:3: "),
        ("action = 5\n", "only tables named [action.NAME]"),
        ("[action]\nABC = 5\n", "mine.toml:2: action.ABC must be a table."),
        ('[action.ABC]\nargv = ["no-such-program-here"]\n', "mine.toml:2: action.ABC: argv"),
        ('[action.ABC]\nargv = ["../bin/x"]\n', "absolute path"),
        ('[action.ABC]\nargv = ["/bin/x"]\nworking_directory = "tmp"\n', "mine.toml:3: "),
        ('[action.ABC]\nargv = ["/bin/x", "{y}"]\n[action.ABC.parameters.x]\ntype = "string"\n',
         "mine.toml:3: action.ABC: parameters: parameters.x: {x} does not stand in argv."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadActionFile) as error:
        read_actions(write(tmp_path, text))
    assert complaint in str(error.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff")
    for path in (tmp_path / "mine.toml", tmp_path / "none.toml"):
        with pytest.raises(BadActionFile, match=path.name):
            read_actions(path)


def test_lines_are_found_through_quotes_and_dots() -> None:
    lines = Lines('a = 1\n[ b . "c d" ] # x\ne.f = 2\n\n[[g]]\nh = [\n 1 ]\n')
    found = [lines.of("a"), lines.of("b", "c d", "e", "f"), lines.of("g", "h"), lines.of("z")]
    assert found == [1, 3, 6, 1]
    assert lines.of("b", "c d", "nothing", "here") == 2


def command(*arguments: str) -> str:
    printed = io.StringIO()
    call_command("actions", *arguments, stdout=printed)
    return printed.getvalue()


def test_a_directory_is_loaded_whole_or_not_at_all(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.toml").write_text(f'[action.{name}]\nargv = ["/bin/true"]\n')
    (tmp_path / "b.toml").write_text("[action.BAD]\n")
    with pytest.raises(CommandError, match=r"b\.toml:1: action\.BAD: argv"):
        command("load", str(tmp_path))
    assert not Action.objects.filter(name=name).exists()
    (tmp_path / "b.toml").write_text(f'[action.{name}]\nargv = ["/bin/false"]\n')
    with pytest.raises(CommandError, match=r"stands in a\.toml already"):
        command("load", str(tmp_path))
    (tmp_path / "b.toml").unlink()
    assert f"{name}: created" in command("check", str(tmp_path))
    assert not Action.objects.filter(name=name).exists()
    assert f"{name}: created\n  argv: None -> ['/bin/true']" in command("load", str(tmp_path))
    assert command("load", str(tmp_path)) == "a.toml: 0 created, 0 changed, 1 unchanged\n"


TWO = """
[action.{first}]
argv = ["/bin/true"]
timeout_s = {timeout_s}

[action.{second}]
argv = ["/bin/true"]
timeout_s = {timeout_s}
"""


def test_a_load_that_fails_at_the_second_action_leaves_the_first_as_it_was(
    tmp_path: Path, name: str
) -> None:
    first, second = f"{name}_A", f"{name}_B"
    call_command(
        "actions",
        "load",
        write(tmp_path, TWO.format(first=first, second=second, timeout_s=3)),
        stdout=io.StringIO(),
    )
    path = write(tmp_path, TWO.format(first=first, second=second, timeout_s=4))
    held, done = threading.Event(), threading.Event()

    def hold_the_second() -> None:
        with transaction.atomic():
            Action.objects.select_for_update().get(name=second)
            held.set()
            done.wait(60)
        connections.close_all()

    thread = threading.Thread(target=hold_the_second)
    thread.start()
    assert held.wait(10)
    told = io.StringIO()
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '200ms'")
    try:
        with pytest.raises(CommandError, match="so nothing changes"):
            call_command("actions", "load", str(path), stdout=told)
    finally:
        done.set()
        thread.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
    assert told.getvalue() == ""
    for each in (first, second):
        assert Action.objects.get(name=each).timeout_s == 3
        assert ActionVersion.objects.filter(action=each).count() == 1
        assert [row[0] for row in rows(each)] == ["action.create"]
    call_command("actions", "load", str(path), stdout=told)
    for each in (first, second):
        assert Action.objects.get(name=each).timeout_s == 4
        ((_, created), (verb, changed)) = rows(each)
        assert (verb, created["version"], changed["version"]) == ("action.change", 1, 2)
        kept = ActionVersion.objects.get(action=each, version=2)
        assert AuditTrace.objects.get(trace_id=kept.trace_id).detail["of"] == each


def test_switching_by_command_says_what_it_did(tmp_path: Path, name: str) -> None:
    load(write(tmp_path, f'[action.{name}]\nargv = ["/bin/true"]\n'))
    assert command("disable", name) == f"{name} is disabled.\n"
    assert command("disable", name) == f"{name} was disabled already.\n"
    assert "enabled = false" in command("export", name)
    assert command("enable", name) == f"{name} is enabled.\n"
    for verb in ("enable", "export"):
        with pytest.raises(CommandError, match="There is no action NO_SUCH"):
            command(verb, "NO_SUCH")
