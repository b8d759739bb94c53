"""The OpenAPI document, tried by schemathesis where it is installed."""

from __future__ import annotations

import pytest

from .running import Server

schemathesis = pytest.importorskip("schemathesis")


def test_the_service_keeps_what_its_document_says(server: Server) -> None:
    """Requests made from the document get answers that it describes, and none is a failure of ours."""
    from hypothesis import HealthCheck, Phase, given, settings
    from schemathesis import checks

    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    tried = 0
    for operation in (found.ok() for found in schema.get_all_operations()):

        @settings(max_examples=5, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def run(case: schemathesis.Case) -> None:
            case.call_and_validate(
                base_url=server.address,
                checks=[
                    checks.not_a_server_error,
                    checks.status_code_conformance,
                    checks.content_type_conformance,
                    checks.response_schema_conformance,
                ],
            )

        run()
        tried += 1
    assert tried == 7
