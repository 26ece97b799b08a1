"""Whatever is sent, valid or not, is answered as the schema says: no 5xx, no other status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from dustadmin.wsgi import application
from positions.models import ExchangeAccount
from tests.api.conftest import Bot

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
SCHEMA = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", application)
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """Keep the test's connection: served for real, one that is old would be closed."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@given(data=st.data())
@hypothesis.settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_every_answer_is_documented(
    data: st.DataObject,
    operation: Any,
    mode: GenerationMode,
    bot: Bot,
    desk: ExchangeAccount,
    settings: Any,
) -> None:
    settings.DUSTADMIN_BOT_REQUESTS_PER_MINUTE = 1_000_000
    case = data.draw(operation.as_strategy(generation_mode=mode))
    if mode is GenerationMode.POSITIVE and "slug" in case.path_parameters:
        case.path_parameters["slug"] = desk.slug
    ours = {"Authorization": f"Bearer {bot.token}", "Accept-Encoding": "identity"}
    case.headers = {**(case.headers or {}), **ours}
    case.validate_response(case.call(), checks=CHECKS)
