"""The responder is an honest counterpart: it keeps what came and answers only what was said."""

from __future__ import annotations

import pytest
import requests

from tests.exchanges.responder import HTML, Answer, Request, Responder


def test_a_request_is_kept_as_it_arrived(responder: Responder) -> None:
    responder.answer("POST", "/order", {"id": "1"})
    answered = requests.post(
        f"{responder.base_url}/order?a=1&b=", data='{"c": [2]}', headers={"X-Sign": "s"}, timeout=5
    )
    assert answered.json() == {"id": "1"}
    kept = responder.only("POST", "/order")
    assert (kept.query, kept.body, kept.headers["x-sign"]) == ("a=1&b=", '{"c": [2]}', "s")
    assert kept.params == {"a": "1", "b": "", "c": [2]}
    assert kept.target == "/order?a=1&b="


def test_what_nobody_registered_is_not_found(responder: Responder) -> None:
    assert requests.get(f"{responder.base_url}/nowhere", timeout=5).status_code == 404
    assert responder.only("GET", "/nowhere").params == {}


def test_answers_wait_in_line_before_the_lasting_one(responder: Responder) -> None:
    responder.answer("GET", "/x", lambda request: {"asked": request.params["n"]})
    responder.answer_once("GET", "/x", Answer(status=429, headers={"Retry-After": "7"}, body=[]))
    responder.answer_once("GET", "/x", HTML)
    first, second, third = (
        requests.get(f"{responder.base_url}/x?n={number}", timeout=5) for number in range(3)
    )
    assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
    assert second.text == HTML
    assert third.json() == {"asked": "2"}


def test_a_dropped_connection_has_no_answer_but_the_request_came(responder: Responder) -> None:
    responder.answer("POST", "/order", Answer(drop=True))
    with pytest.raises(requests.ConnectionError):
        requests.post(f"{responder.base_url}/order", data="x=1", timeout=5)
    assert responder.only("POST", "/order") == Request(
        method="POST",
        path="/order",
        query="",
        headers=responder.requests[0].headers,
        body="x=1",
    )
