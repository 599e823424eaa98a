"""The OpenAPI document is one, by the schemas of OpenAPI 3.1 and of JSON Schema."""

import copy
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
import schemathesis

from kho.server.web.api.openapi import document
from kho.server.web.api.table import OPERATIONS

BREAKAGES: tuple[Callable[[Any], object], ...] = (
    lambda one: one["info"].pop("title"),
    lambda one: one["paths"]["/api/v1/whoami"]["get"].update(responses={"abc": {}}),
    lambda one: one["paths"]["/api/v1/users"]["post"].update(requestBody={"content": 1}),
    lambda one: one["components"]["schemas"]["User"].update(type="objekt"),
    lambda one: one["components"]["schemas"]["User"].update(required="name"),
)


def check(one: Any) -> None:
    """Raise unless it is as the specifications say."""
    schemathesis.openapi.from_dict(one).validate()
    for schema in one["components"]["schemas"].values():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        )


def test_the_document_is_valid() -> None:
    check(document(OPERATIONS))


@pytest.mark.parametrize("broken", BREAKAGES)
def test_the_check_can_fail(broken: Callable[[Any], object]) -> None:
    whole = copy.deepcopy(document(OPERATIONS))
    broken(whole)
    with pytest.raises(jsonschema_rs.ValidationError):
        check(whole)
