"""Everything that the interface says, it says in Brazilian Portuguese too."""

from __future__ import annotations

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils.translation import override
from django.utils.translation.template import templatize

from techno.access.terms import read_terms
from techno.governance.reason_codes import ReasonCode
from techno.governance.verdict import refuse
from techno.portal.fields import in_the_readers_language
from tests.isolation import REPOSITORY
from tests.portal.making import record

CATALOGUE = REPOSITORY / "techno" / "locale" / "pt_BR" / "LC_MESSAGES" / "django.po"
SOURCES = ("audit", "diagnostics", "executor", "techno")
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
MARKED = re.compile(r"""\b(?:_|n?gettext)\(u?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
PLACEHOLDER = re.compile(r"%\(\w+\)s|%[ds]|\{\w*\}")
ENTRY = re.compile(r'^(msgid|msgid_plural|msgstr|msgstr\[\d\]) "(.*)"$', re.MULTILINE)


def entries() -> dict[str, list[str]]:
    """Return the catalogue's texts, each with its translations (two where there is a plural)."""
    found: dict[str, list[str]] = {}
    for kind, quoted in ENTRY.findall(CATALOGUE.read_text(encoding="utf-8")):
        text = ast.literal_eval(f'"{quoted}"')
        if kind == "msgid":
            found[text] = translations = []
        elif kind.startswith("msgstr"):
            translations.append(text)
    del found[""]
    return found


def marked_in_python(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in MARKS and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def marked_in_template(path: Path) -> Iterator[str]:
    for literal in MARKED.findall(templatize(path.read_text(encoding="utf-8"), origin=str(path))):
        yield ast.literal_eval(literal)


def marked() -> set[str]:
    """Return every text of ours that is marked for translation."""
    found: set[str] = set()
    for name in SOURCES:
        for path in (REPOSITORY / name).rglob("*.py"):
            found.update(marked_in_python(path))
    for path in (REPOSITORY / "templates").rglob("*.html"):
        found.update(marked_in_template(path))
    return found


def test_every_marked_text_is_in_the_catalogue_and_no_other() -> None:
    codes = {text for code in ReasonCode for text in (code.value.meaning, code.value.remedy)}
    found = marked()
    assert "Skip to the content" in found
    assert "%d key is revoked." in found
    assert set(entries()) == found | codes


def test_every_text_is_translated_with_its_placeholders() -> None:
    assert "fuzzy" not in CATALOGUE.read_text(encoding="utf-8")
    for text, translations in entries().items():
        assert translations
        for translation in translations:
            assert translation, text
            assert sorted(PLACEHOLDER.findall(translation)) == sorted(PLACEHOLDER.findall(text))
            assert translation[-1:] == text[-1:] or text[-1:] not in ".?:", text


def test_the_compiled_catalogue_is_the_written_one() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for text, translations in entries().items():
        if len(translations) == 1:
            assert compiled.gettext(text) == translations[0]
            continue
        for number, translation in zip((1, 2), translations, strict=True):
            assert compiled.ngettext(text, text, number) == translation


@pytest.mark.parametrize(
    ("language", "menu", "meaning"),
    [
        ("pt-BR,pt;q=0.9", "Execuções de comandos", "passou do limite de tempo"),
        ("en", "Command runs", "ran past its time limit"),
        ("xx", "Command runs", "ran past its time limit"),
    ],
)
def test_pages_speak_the_browsers_language(
    admin_client: Client, language: str, menu: str, meaning: str
) -> None:
    trace = record(refuse(ReasonCode.E12_TIMEOUT))
    path = reverse("admin:audit_audittrace_change", args=[trace])
    html = admin_client.get(path, headers={"accept-language": language}).content.decode()
    assert menu in html
    assert meaning in html
    assert f'<html lang="{language[:2]}' in html or language == "xx"


def test_what_a_service_refuses_is_told_in_the_readers_language() -> None:
    with override("pt-br"):
        with pytest.raises(ValidationError) as refused:
            read_terms(scopes=["execute"], allowed_actions=["50%"])
        assert refused.value.messages[0].startswith("allowed actions: '50%' must be")
        (told,) = in_the_readers_language(refused.value)
        assert told.startswith("ações permitidas: '50%' precisa ter")
        assert in_the_readers_language(ValidationError("100% new")) == ["100% new"]
