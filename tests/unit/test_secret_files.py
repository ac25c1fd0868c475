"""`serx secrets` and `serx listeners` where an installation is known by its secrets: listeners come and go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy import listening
from deploy.failure import Failure
from deploy.secret_files import make_secrets
from deploy.server_places import moved_dsn

THREE = "n1=h1:4222,n2=h2:4223,h3:4222"
HEARS = "proposal.signed,order.*"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The secrets of an installation with a listener, as its operator's commands find them."""
    make_secrets(tmp_path, listener=[f"billing={HEARS}"])
    monkeypatch.setenv("SERX_SECRETS_DIR", str(tmp_path / "administration"))
    return tmp_path


def test_listeners_are_listed_with_their_logins(folder: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    listening.list_all()
    url = (folder / "administration/listener-billing_nats_url").read_text().strip()
    assert capsys.readouterr().out == f"billing hears proposal.signed, order.*: {url}\n"


def test_a_listeners_folder_that_was_lost_is_made_again_with_the_same_login(folder: Path):
    own = folder / "listener-billing/nats_url"
    before = own.read_text()
    own.unlink()
    own.parent.rmdir()
    make_secrets(folder)
    assert own.read_text() == before


def test_a_listener_that_is_forgotten_cannot_log_in(folder: Path):
    assert "listener-billing" in (folder / "nats/nats.conf").read_text()
    with pytest.raises(Failure, match="serx secrets --forget billing"):
        listening.remove("billing")
    make_secrets(folder, forget=["billing"])
    assert "listener-billing" not in (folder / "nats/nats.conf").read_text()
    assert not (folder / "administration/listener-billing_nats_url").exists()
    make_secrets(folder)
    assert not (folder / "listener-billing/nats_url").exists()


def test_what_has_to_follow_is_said(folder: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    make_secrets(folder, listener=["mail=order.*"])
    assert "mail hears order.*. Have NATS read its users, then run `serx listeners`.\n" in capsys.readouterr().out
    make_secrets(folder, forget=["mail"])
    assert (
        "mail is forgotten. Have NATS read its users, then run `serx listeners remove mail`." in capsys.readouterr().out
    )


def test_an_installation_without_listeners_says_so(folder: Path, capsys: pytest.CaptureFixture[str]):
    make_secrets(folder, forget=["billing"])
    capsys.readouterr()
    listening.list_all()
    assert capsys.readouterr().out == "Nobody listens.\n"


def test_add_says_what_to_do_where_there_is_no_data_folder(folder: Path):
    with pytest.raises(Failure, match=r"run `serx secrets --listener mail=order\.\*`, have NATS read"):
        listening.add("mail", hears="order.*")


def test_nobody_is_forgotten_who_is_no_listener(folder: Path):
    with pytest.raises(Failure, match="There is no listener 'mail'; there are billing"):
        make_secrets(folder, forget=["mail"])


def read(folder: Path, name: str) -> str:
    return (folder / name).read_text().strip()


def test_three_brokers_are_a_cluster_with_routes_to_each_other(tmp_path: Path):
    make_secrets(tmp_path, nats=THREE, nats_routes="h1:6222,r2:6333,h3:6222")
    password = read(tmp_path, "nats/route_password")
    text = read(tmp_path, "nats/n2/nats.conf")
    for line in (
        'server_name: "n2"',
        'listen: "0.0.0.0:4223"',
        'client_advertise: "h2:4223"',
        '  listen: "0.0.0.0:6333"',
        '  advertise: "r2:6333"',
        f'  authorization {{user: "route", password: "{password}"}}',
        f'  routes: ["nats://route:{password}@h1:6222", "nats://route:{password}@h3:6222"]',
    ):
        assert f"{line}\n" in text
    assert not (tmp_path / "nats/nats.conf").exists()
    routes = [f"nats://route:{password}@{place}" for place in ("h1:6222", "r2:6333", "h3:6222")]
    common = read(tmp_path, "nats/cluster.conf").splitlines()
    assert common[:2] == [
        f'authorization {{user: "route", password: "{password}"}}',
        f"routes: {json.dumps(routes)}",
    ]
    assert all(f"\n  {line}\n" in text for line in common if not line.startswith("routes")), "as each server has it"
    orders = read(tmp_path, "orders/nats_url")
    seed = orders.partition("://")[2].partition("@")[0]
    assert orders == f"nats://{seed}@h1:4222,nats://{seed}@h2:4223,nats://{seed}@h3:4222"


def test_one_broker_has_no_cluster_and_no_system_account(tmp_path: Path):
    make_secrets(tmp_path, nats="h1:4333")
    text = read(tmp_path, "nats/nats.conf")
    assert text.startswith('server_name: "serx"\nlisten: "0.0.0.0:4222"\nhttp: "127.0.0.1:8222"\nmax_payload')
    assert "cluster" not in text
    assert "$SYS" not in text
    assert not (tmp_path / "administration/system_nats_url").exists()


def test_addresses_change_when_they_are_given_again_and_logins_stay(tmp_path: Path):
    make_secrets(tmp_path, listener=["billing=order.*"])
    names = ("orders/nats_url", "administration/nats_url", "listener-billing/nats_url")
    dsn = read(tmp_path, "orders/database_dsn")
    was = {name: read(tmp_path, name) for name in names}
    make_secrets(tmp_path, nats=THREE, postgres="p1:5432,p2:5433")
    for name, url in was.items():
        login = url.partition("://")[2].partition("@")[0]
        assert read(tmp_path, name) == f"nats://{login}@h1:4222,nats://{login}@h2:4223,nats://{login}@h3:4222"
    wanted = dsn.replace("postgres:5432", "p1:5432,p2:5433") + "?target_session_attrs=read-write"
    assert read(tmp_path, "orders/database_dsn") == wanted
    assert read(tmp_path, "administration/orders_database_dsn") == wanted
    make_secrets(tmp_path, nats="nats:4222")
    assert not (tmp_path / "nats/cluster.conf").exists()
    assert {name: read(tmp_path, name) for name in names} == was


@pytest.mark.parametrize(("nats", "place"), [("b:4333", "b:4333"), (THREE, "h2:4223")])
def test_a_secret_that_is_renewed_has_the_addresses_of_the_others(nats: str, place: str, tmp_path: Path):
    make_secrets(tmp_path, nats=nats, postgres="p:5433")
    for name in ("orders/nats_url", "orders/database_dsn", "administration/orders_database_dsn"):
        (tmp_path / name).unlink()
    make_secrets(tmp_path)
    assert f"@{place}" in read(tmp_path, "orders/nats_url")
    assert "@p:5433/" in read(tmp_path, "orders/database_dsn")


def test_options_of_a_dsn_stay_when_its_hosts_change():
    dsn = "postgresql://u:p%40@h:1/d?sslmode=verify-full&sslrootcert=/ca.pem"
    assert moved_dsn(dsn, "a:1") == dsn.replace("@h:1", "@a:1")
    assert moved_dsn(dsn, "a:1,b:2") == dsn.replace("@h:1", "@a:1,b:2") + "&target_session_attrs=read-write"
    own = "postgresql://u@h/d?target_session_attrs=primary"
    assert moved_dsn(own, "a:1,b:2") == "postgresql://u@a:1,b:2/d?target_session_attrs=primary"


@pytest.mark.parametrize(
    ("nats", "routes", "sentence"),
    [
        ("a:1,b:2", None, "Two brokers stand still"),
        ("a:1,a:2,b:3", None, "the same name"),
        ("x=a:1,y=a:1,z=b:1", None, "the same address"),
        ("x=a:1,y=a:2,z=b:1", None, "the same address for routes"),
        ("x=a:1,../y=b:1,z=c:1", None, "cannot be the name"),
        ("[::1]:1,b:1,c:1", None, "cannot be the name"),
        ("a:1,b:1,c:1", "a:2,b:2", "--nats-routes has 2 addresses, and --nats has 3"),
        ("a:1,b:1,c:1", "a:2,b:2,c", "--nats-routes has to be a host and a port"),
        (None, "a:2", "give both"),
    ],
)
def test_brokers_that_could_be_no_cluster_are_refused(
    nats: str | None, routes: str | None, sentence: str, tmp_path: Path
):
    with pytest.raises(Failure, match=sentence):
        make_secrets(tmp_path / "secrets", nats=nats, nats_routes=routes)
    assert not (tmp_path / "secrets").exists()
