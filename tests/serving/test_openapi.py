"""The OpenAPI description, and that the live front does as it says."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks

from serving.front import Front
from serving.instance import ROOT

OPENAPI = json.loads((ROOT / "serving" / "openapi.json").read_text(encoding="utf-8"))
EXAMPLES = 15  # of each operation


# Each with a name of its own, which schemathesis' own marker does not give: pytest-xdist needs it.
OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.openapi.from_dict(OPENAPI).get_all_operations()
}


@pytest.mark.serving
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_the_front_does_as_described(operation: Any, front: Front) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def check(case: Any) -> None:
        case.validate_response(
            case.call(base_url=front.url),
            checks=[
                checks.not_a_server_error,
                checks.status_code_conformance,
                checks.content_type_conformance,
                checks.response_schema_conformance,
            ],
        )

    check()


def test_every_reference_leads_somewhere() -> None:
    def follow(node: Any) -> None:
        if isinstance(node, list):
            for each in node:
                follow(each)
        if isinstance(node, dict):
            if "$ref" in node:
                kind, name = node["$ref"].removeprefix("#/components/").split("/")
                assert name in OPENAPI["components"][kind]
            for each in node.values():
                follow(each)

    follow(OPENAPI)
