"""What our own types look like in the OpenAPI document."""

from __future__ import annotations

import msgspec
from litestar._openapi.schema_generation import SchemaCreator
from litestar.openapi.spec import OpenAPIType, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from shared.money import Money
from shared.web.bodies import JsonObject


class MoneySchema(OpenAPISchemaPlugin):
    """Money in requests: a number or a string with at most two decimals."""

    @staticmethod
    def is_plugin_supported_type(value: object) -> bool:
        return isinstance(value, type) and issubclass(value, Money)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:  # noqa: ARG002
        return Schema(
            description="An amount of money: a number or a string, from 0 to 9999999999.99, at most two decimals.",
            one_of=[
                Schema(type=OpenAPIType.STRING, pattern=r"^\d{1,10}(\.\d{1,2})?$"),
                Schema(type=OpenAPIType.NUMBER, minimum=0, maximum=9999999999.99, multiple_of=0.01),
            ],
            examples=["8500.00"],
        )


class JsonObjectSchema(OpenAPISchemaPlugin):
    """An object of the caller's own, in requests; one that is passed on as it is, in answers."""

    @staticmethod
    def is_plugin_supported_type(value: object) -> bool:
        return isinstance(value, type) and issubclass(value, JsonObject | msgspec.Raw)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:  # noqa: ARG002
        return Schema(type=OpenAPIType.OBJECT, additional_properties=True)
