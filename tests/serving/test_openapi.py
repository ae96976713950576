"""The OpenAPI description, and that the live server does as it says."""

import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks

from serving.instance import ROOT, Instance

OPENAPI = json.loads((ROOT / "serving" / "openapi.json").read_text(encoding="utf-8"))
EXAMPLES = 40  # of each operation


@pytest.fixture(scope="session")
def api(instance: Instance) -> tuple[str, dict[str, str]]:
    """The base URL of what is tested, and the headers that it needs."""
    return instance.inference, {"Authorization": f"Bearer {instance.key('inference')}"}


schema = schemathesis.openapi.from_dict(OPENAPI).include(path="/predictions/hashtags")


@pytest.mark.serving
@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_server_does_as_described(case: Any, api: tuple[str, dict[str, str]]) -> None:
    url, headers = api
    answer = case.call(base_url=url, headers=headers)
    case.validate_response(
        answer,
        checks=[
            checks.not_a_server_error,
            checks.status_code_conformance,
            checks.content_type_conformance,
            checks.response_schema_conformance,
        ],
    )


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
