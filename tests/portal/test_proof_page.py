"""The page about the proof: what is signed, by which keys, and what waits."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse

from audit.checkpoints import Signed, make_checkpoint
from audit.keeper import keeper_connection, origin, seal_all, signing_directory
from tests.portal.making import client_of, person, record

PAGE = reverse("admin:audit_audittrace_proof")
INDEX = reverse("admin:index")


def sign() -> Signed:
    """Seal and sign what there is, as the keeper does."""
    with keeper_connection() as connection:
        seal_all(connection)
        return make_checkpoint(connection, signing_directory(), origin())


def test_the_checkpoint_the_keys_and_what_waits(admin_client: Client) -> None:
    record()
    signed = sign()
    key = signing_directory().current_keys()[0].verifier.vkey

    html = admin_client.get(PAGE).content.decode()

    assert f"<dd>{signed.checkpoint.size}</dd>" in html
    assert signed.checkpoint.origin in html
    assert f'data-copy="{key}"' in html
    assert "Nothing is signed" not in html
    record()
    html = admin_client.get(PAGE).content.decode()
    assert "the oldest for" in html


def test_a_refused_database_is_told_with_the_next_step(admin_client: Client) -> None:
    sign()
    directory = signing_directory()
    directory.note_refusal("The database has 3 sealed rows, but 5 were signed. Find out why.")
    try:
        html = admin_client.get(PAGE).content.decode()
    finally:
        directory.note_refusal("")
    assert 'class="note bad"' in html
    assert "but 5 were signed. Find out why." in html


def test_who_may_see_traces_may_see_their_proof(admin_client: Client) -> None:
    sign()
    viewer, other = client_of(person("audit.view_audittrace")), client_of(person())
    assert viewer.get(PAGE).status_code == 200
    assert f'href="{PAGE}"' in viewer.get(INDEX).content.decode()
    assert other.get(PAGE).status_code == 403
    assert PAGE not in other.get(INDEX).content.decode()
    assert Client().get(PAGE).status_code == 302
    assert viewer.post(PAGE).status_code == 405
    current = viewer.get(PAGE).content.decode()
    assert f'href="{PAGE}" aria-current="page"' in current
    assert current.count("aria-current") == 1
