"""Settings: filled from the environment; what is missing or unusable is named, its value never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from shared.settings import Secret, ServiceSettings, SettingsError, load, variable

KEY = "k" * 32
ENVIRON = {
    "SERX_NATS_URL": "nats://engagements:hidden@127.0.0.1:4222",
    "SERX_DATABASE_DSN": "postgresql://hidden@127.0.0.1/serx",
    "SERX_INTERNAL_KEYS": KEY,
}


class Settings(ServiceSettings, frozen=True, kw_only=True):
    spare_key: Annotated[Secret, Meta(description="A key.")] = KEY
    is_loud: bool = False
    ports: tuple[int, ...] = ()


def refusal(**changes: str | None) -> str:
    environ = ENVIRON | {f"SERX_{name.upper()}": value for name, value in changes.items() if value is not None}
    for name in (name for name, value in changes.items() if value is None):
        del environ[variable(name)]
    with pytest.raises(SettingsError) as refused:
        load(Settings, environ)
    return str(refused.value)


def test_what_is_set_is_taken_and_the_rest_has_its_default():
    config = load(Settings, ENVIRON | {"SERX_PORT": "8123", "SERX_DRAIN_SECONDS": "2.5", "SERX_IS_LOUD": "true"})
    assert (config.port, config.drain_seconds, config.is_loud) == (8123, 2.5, True)
    assert (config.host, config.database_pool_size) == ("127.0.0.1", 16)
    assert config.internal_keys == (KEY,)


def test_lists_are_separated_by_commas():
    config = load(Settings, ENVIRON | {"SERX_INTERNAL_KEYS": f"{KEY}, {KEY}2 ,", "SERX_PORTS": "1,2"})
    assert (config.internal_keys, config.ports) == ((KEY, f"{KEY}2"), (1, 2))


def test_a_replica_has_a_name_of_its_own_unless_it_is_given_one():
    assert load(Settings, ENVIRON).replica != load(Settings, ENVIRON).replica
    assert load(Settings, ENVIRON | {"SERX_REPLICA": "a-1"}).replica == "a-1"


def test_other_variables_are_nobodys_business():
    assert load(Settings, ENVIRON | {"SERX_RUBBISH": "1", "PATH": "/bin"}).port == 8000


def test_everything_that_is_missing_is_named_at_once_with_what_it_is_for():
    told = refusal(nats_url=None, database_dsn=None, internal_keys=None)
    assert "SERX_NATS_URL is not set (NATS servers, comma-separated" in told
    assert "SERX_DATABASE_DSN is not set" in told
    assert "SERX_INTERNAL_KEYS is not set" in told


def test_everything_unusable_is_named_at_once_with_what_is_missing():
    told = refusal(port="many", drain_seconds="-1", log_level="loud", nats_url=None)
    for name in ("SERX_PORT", "SERX_DRAIN_SECONDS", "SERX_LOG_LEVEL", "SERX_NATS_URL"):
        assert name in told


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("spare_key", "too short a secret"),
        ("internal_keys", "too short a secret"),
        ("internal_keys", f"{KEY},too short a secret"),
        ("internal_keys", " , "),
        ("port", "secret7"),
        ("port", "98765"),
        ("port", ""),
        ("database_pool_size", "-77"),
        ("database_pool_size", "7.5"),
        ("database_wait_seconds", "-77"),
        ("database_wait_seconds", "nan"),
        ("log_format", "xml"),
        ("replica", "a.b"),
        ("replica", "a b"),
        ("is_loud", "loudly"),
        ("ports", "1,secret"),
    ],
)
def test_an_unusable_value_is_named_and_never_shown(name: str, value: str):
    told = refusal(**{name: value})
    assert told.startswith(f"{variable(name)}: ")
    assert not value.strip(" ,") or value not in told


def test_what_is_not_in_the_environment_is_found_among_the_secrets(tmp_path: Path):
    (tmp_path / "database_dsn").write_text("postgresql://from-a-file@127.0.0.1/serx\n")
    (tmp_path / "nats_url").write_text("nats://from-a-file@127.0.0.1:4222\n")
    environ = ENVIRON | {"SERX_SECRETS_DIR": str(tmp_path)}
    del environ["SERX_DATABASE_DSN"]
    config = load(Settings, environ)
    assert config.database_dsn == "postgresql://from-a-file@127.0.0.1/serx"
    assert config.nats_url == ENVIRON["SERX_NATS_URL"], "what the environment says goes before"


def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "database_dsn").mkdir()
    environ = {name: value for name, value in ENVIRON.items() if name != "SERX_DATABASE_DSN"}
    with pytest.raises(SettingsError, match=r"SERX_DATABASE_DSN: .*database_dsn cannot be read"):
        load(Settings, environ | {"SERX_SECRETS_DIR": str(tmp_path)})


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        load(Settings, ENVIRON).port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_a_variable_is_named_after_its_field():
    assert variable("pool_size") == "SERX_POOL_SIZE"
    assert {variable(field.name) for field in msgspec.structs.fields(Settings) if field.required} == set(ENVIRON)
