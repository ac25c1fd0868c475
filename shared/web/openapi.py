"""What our own types and refusals look like in the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, cast

import msgspec
from litestar._openapi.schema_generation import SchemaCreator
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIFormat, OpenAPIType, Reference, Schema
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from shared.labels import spelled_out
from shared.money import Money
from shared.web import problems
from shared.web.free_objects import MAX_OBJECT_BYTES
from shared.web.patterns import MONEY
from shared.web.problems import Problem
from shared.web.shapes import MAX_BYTES, JsonObject, fields_of, rules
from shared.web.shaping import MAX_DIGITS, MAX_EXPONENT
from shared.web.times import MAX_TIME_LENGTH

_KINDS: Final = {
    kind.status: kind
    for kind in (
        problems.INVALID,
        problems.UNAUTHENTICATED,
        problems.FORBIDDEN,
        problems.NOT_FOUND,
        problems.CONFLICT,
        problems.STALE,
        problems.UNPROCESSABLE,
        problems.RATE_LIMITED,
    )
}
_NOTHING_MORE: Final[Mapping[int, str]] = MappingProxyType({})
FREE_OBJECT: Final = (
    f"A JSON object of your own, which comes back as it was sent: at most {MAX_OBJECT_BYTES // 1024} KiB of JSON in "
    f"UTF-8 without white space between its parts (`x-max-bytes`), numbers in it at most {MAX_DIGITS} characters long "
    f"and with an exponent of at most {MAX_EXPONENT}."
)


def refusals(*statuses: int, because: Mapping[int, str] = _NOTHING_MORE) -> dict[int, ResponseSpec]:
    """For a handler's `responses=`: how the call can be refused, each with a problem as its body.

    400 is always among them: every call refuses a parameter that it does not know. What follows from the kind of call
    alone (401, 413, 415, 429, 503) the gateway documents. `because` says more than the status's own title.
    Raises KeyError for a status that no rule of ours answers.
    """
    return {
        status: ResponseSpec(
            Problem,
            description=because.get(status, _KINDS[status].title),
            media_type=problems.MEDIA_TYPE,
            generate_examples=False,
        )
        for status in sorted({problems.INVALID.status, *statuses, *because})
    }


class MoneySchema(OpenAPISchemaPlugin):
    """Money in requests: a number or a string with at most two decimals."""

    @staticmethod
    def is_plugin_supported_type(value: object) -> bool:
        return isinstance(value, type) and issubclass(value, Money)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:  # noqa: ARG002
        return Schema(
            description="An amount of money: a number or a string, from 0 to 9999999999.99, at most two decimals.",
            one_of=[
                Schema(type=OpenAPIType.STRING, pattern=MONEY),
                Schema(type=OpenAPIType.NUMBER, minimum=0, maximum=9999999999.99, multiple_of=0.01),
            ],
            examples=["8500.00"],
        )


@dataclass
class BoundedSchema(Schema):
    """A schema with a bound that JSON Schema has no word for."""

    max_bytes: int | None = field(default=None, metadata={"alias": "x-max-bytes"})
    """How many bytes of UTF-8: of the text itself, or of the JSON of an object."""

    def __hash__(self) -> int:
        return Schema.__hash__(self)


class JsonObjectSchema(OpenAPISchemaPlugin):
    """An object of the caller's own, in requests; one that is passed on as it is, in answers."""

    @staticmethod
    def is_plugin_supported_type(value: object) -> bool:
        return isinstance(value, type) and issubclass(value, JsonObject | msgspec.Raw)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:  # noqa: ARG002
        if not issubclass(field_definition.annotation, JsonObject):
            return Schema(type=OpenAPIType.OBJECT, additional_properties=True)
        return BoundedSchema(
            type=OpenAPIType.OBJECT, additional_properties=True, max_bytes=MAX_OBJECT_BYTES, description=FREE_OBJECT
        )


class ClosedBodySchema(StructSchemaPlugin):
    """A body that refuses fields which it does not know says so; `rules_between` are those between its fields."""

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return super().is_plugin_supported_field(field_definition) and _is_closed(field_definition.annotation)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        schema = super().to_openapi_schema(field_definition, schema_creator)
        schema.additional_properties = False
        schema.properties = {
            name: _with_bounds(told, fields_of(field_definition.annotation)[name].type)
            for name, told in (schema.properties or {}).items()
        }
        for name, rule in getattr(field_definition.annotation, "rules_between", {}).items():
            setattr(schema, name, rule)
        return schema


class NumberSchema(OpenAPISchemaPlugin):
    """The numbers of a status or phase, each with what it stands for."""

    @staticmethod
    def is_plugin_supported_type(value: object) -> bool:
        return isinstance(value, type) and issubclass(value, IntEnum)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        reference = schema_creator.for_enum_field(field_definition)
        schema = schema_creator.schema_registry.get_schema_for_field_definition(field_definition)
        schema.description = f"{spelled_out(field_definition.annotation)}."
        schema.default = None  # one field's, and the component is for all of them
        return cast(
            "Schema", reference
        )  # Litestar takes a reference too, though the plugin's signature does not say so


def _with_bounds(told: Reference | Schema, shape: Any) -> Reference | Schema:
    """What a body's field is, with the bounds that Litestar knows nothing of."""
    if not isinstance(told, Schema):
        return told
    if isinstance(told.default, JsonObject):
        told.default = msgspec.json.decode(told.default)
    if any(_is_time(option) for option in (told, *(told.one_of or ()))):
        told.max_length = MAX_TIME_LENGTH
    if (most := rules(shape).get(MAX_BYTES)) is None:
        return told
    return BoundedSchema(**{each.name: getattr(told, each.name) for each in fields(Schema)}, max_bytes=most)


def _is_time(told: Reference | Schema) -> bool:
    return isinstance(told, Schema) and told.format == OpenAPIFormat.DATE_TIME


def _is_closed(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.forbid_unknown_fields
