"""Every setting of every process with every kind of wrong value: a sentence that names it and shows a right one."""

from __future__ import annotations

import msgspec
import pytest

from gateway.settings import GatewaySettings
from shared.messaging.topology import PROCESSES
from shared.settings import SettingsError, load, variable
from shared.spelling import example
from tests.architecture.settings_table import shape_of

SECRET = "x" * 43
NO_NUMBERS = ("", " ", "many", "nan", "inf", "-inf", "-1", "10s", "5MB", "1_000,5", "1e400", "9" * 400, "0x10", "1,5")
NO_WHOLE_NUMBERS = (*NO_NUMBERS, "1.5", "9" * 30)
NO_FLAGS = ("", "maybe", "2", "yes please")
PYTHON = ("Expected", "`int`", "`str`", "`float`", "regex", "Traceback", "ValueError", "$.")


def kind_of(field: msgspec.structs.FieldInfo) -> msgspec.inspect.Type:
    inner = msgspec.inspect.type_info(field.type)
    while isinstance(inner, msgspec.inspect.Metadata):
        inner = inner.type
    return inner


def right(field: msgspec.structs.FieldInfo) -> str:
    told = example(field)
    return SECRET if told.startswith("$(") else told


def environment(process: str) -> dict[str, str]:
    fields = msgspec.structs.fields(shape_of(process))
    return {variable(field.name): right(field) for field in fields if field.required}


def wrong(field: msgspec.structs.FieldInfo) -> tuple[str, ...]:
    match kind_of(field):
        case msgspec.inspect.IntType():
            return NO_WHOLE_NUMBERS
        case msgspec.inspect.FloatType():
            return NO_NUMBERS
        case msgspec.inspect.BoolType():
            return NO_FLAGS
        case _:
            return OF_ITS_OWN.get(field.name, ())


SERVICE_URLS = ("", "identity:8001", "ftp://identity", "http://identity/api", "http://a b", "http://", "8001")
SERVICE_URLS += (",", "http://a:99999", "http://a:x", "http://a:0", "http://a:1,b:2", "http://a:1,http://b/api")
OF_ITS_OWN: dict[str, tuple[str, ...]] = {
    "nats_url": ("", "127.0.0.1:4222", "http://127.0.0.1:4222", "nats://", "nats://a b"),
    "database_dsn": ("", "127.0.0.1:5432", "mysql://127.0.0.1/serx", "postgresql://"),
    "nats_monitor_url": ("127.0.0.1:8222", "nats://127.0.0.1:8222"),
    "otlp_url": ("collector:4318", "grpc://collector"),
    "log_format": ("", "JSON", "xml"),
    "log_level": ("", "INFO", "loud"),
    "replica": ("", "a b", "é", "x" * 41),
    "internal_keys": ("", "short", f"{SECRET},short", " , "),
    "session_keys": ("", "short", f"{SECRET},short", " , "),
    **{f"{name}_key": ("", "short") for name in PROCESSES},
    **{f"{name}_url": SERVICE_URLS for name in PROCESSES},
    "public_url": ("api.agency.example", "https://api.agency.example/v1", "ftp://api", "https://a b", "/"),
    "cors_origins": (
        "app.example",
        "https://app.example/",
        "https://app.example/path",
        "https://*.app.example",
        "HTTPS://app.example",
        "https://App.example",
        "https://app.example:443",
        "http://app.example:80",
        "https://app.example:99999",
        "https://user@app.example",
        "https://bücher.example",
        "https://a.example,https://b.example/",
        "https://[0:0::1]",
        "ftp://app.example",
        "null",
        "*.example",
    ),
    "trusted_proxies": (
        "10.0.0.5/8",
        "10.0.0.0/33",
        "10.0.0",
        "proxy.example",
        "::1/8",
        "10.0.0.0/8,10.0.0.5/8",
        "any",
    ),
}


@pytest.mark.parametrize("process", PROCESSES)
def test_a_wrong_value_is_a_sentence_that_names_the_setting_and_shows_a_right_one(process: str):
    for field in msgspec.structs.fields(shape_of(process)):
        for value in wrong(field):
            said = refusal(process, variable(field.name), value)
            assert said.startswith(f"{variable(field.name)}: "), said
            assert f"a right one is {variable(field.name)}=" in said
            assert not [word for word in PYTHON if word in said], said


def refusal(process: str, name: str, value: str) -> str:
    try:
        load(shape_of(process), environment(process) | {name: value})
    except SettingsError as refused:
        return str(refused)
    return pytest.fail(f"{name}={value!r} is taken")


@pytest.mark.parametrize("process", PROCESSES)
def test_the_right_one_that_is_shown_is_taken(process: str):
    for field in msgspec.structs.fields(shape_of(process)):
        load(shape_of(process), environment(process) | {variable(field.name): right(field)})


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_is_tried_with_wrong_values(process: str):
    """But for paths: what is no certificate is seen when it is read."""
    untried = {field.name for field in msgspec.structs.fields(shape_of(process)) if not wrong(field)}
    assert untried <= {"host", "tls_certificate_path", "tls_key_path"}


def gateway(**settings: str) -> GatewaySettings:
    told = {variable(name): value for name, value in settings.items()}
    return load(GatewaySettings, environment("gateway") | told)


def test_a_slash_at_the_end_of_an_address_is_taken_and_left_out():
    told = gateway(public_url="https://api.agency.example/", orders_url="http://orders:8000/")
    assert (told.public_url, told.orders_url) == ("https://api.agency.example", ("http://orders:8000",))


def test_several_addresses_of_a_service_are_taken_each_once():
    told = gateway(orders_url="http://a:8000, https://[::1]:8443/,http://a:8000/")
    assert told.orders_url == ("http://a:8000", "https://[::1]:8443")


def test_origins_that_browsers_send_are_taken():
    origins = "https://app.example, http://localhost:3000,https://[::1]:8443,https://xn--bcher-kva.example,*"
    assert len(gateway(cors_origins=origins).cors_origins) == 5


def test_the_network_that_was_meant_is_shown():
    with pytest.raises(SettingsError, match=r"'10\.0\.0\.5/8' is no network; 10\.0\.0\.0/8 is"):
        gateway(trusted_proxies="10.0.0.5/8")


def test_networks_of_both_kinds_and_single_addresses_are_taken():
    assert len(gateway(trusted_proxies="10.0.0.0/8, fd00::/8,192.0.2.7").trusted_proxies) == 3
