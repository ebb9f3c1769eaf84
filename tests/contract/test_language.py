"""The API speaks English, whatever page its thread showed to a person before."""

from __future__ import annotations

import httpx

from tests.service import Services

PORTUGUESE = {"Accept-Language": "pt-BR"}


def test_messages_do_not_take_the_language_of_a_page(start_service: Services) -> None:
    with start_service(TECHNO_WORKERS="1", TECHNO_THREADS="1") as service:
        key = service.issue_key("--scope", "execute", "--scope", "audit:read")
        asked = {"X-API-Key": key}
        with httpx.Client(base_url=service.url, timeout=20) as client:

            def messages() -> list[str]:
                answers = [
                    client.post("/api/execute", headers=asked, json={"command": ["GET_STATUS"]}),
                    client.post("/api/execute", headers=asked, json={}),
                    client.post(
                        "/api/execute",
                        headers=asked,
                        json={"command": "GET_STATUS", "dry_run": "perhaps"},
                    ),
                    client.get("/api/audit", headers=asked, params={"since": "long ago"}),
                    client.put("/api/audit", headers=asked),
                    client.get("/api/nothing", headers=asked),
                ]
                assert [answer.status_code for answer in answers] == [400] * 4 + [405, 404]
                return [answer.json()["message"] for answer in answers]

            before = messages()
            page = client.get("/account/login/", headers=PORTUGUESE)
            assert 'lang="pt-br"' in page.text.lower()
            assert messages() == before
