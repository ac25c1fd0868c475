"""docs/asyncapi.json is true: it is the catalogue's, and the catalogue is what services tell and hear."""

from __future__ import annotations

from decimal import Decimal
from importlib import import_module
from pathlib import Path

import pytest

from shared.contracts.events import CATALOGUE, spelled
from shared.contracts.orders import OrderState
from shared.contracts.proposals import ProposalSigned
from shared.ids import new_id
from shared.messaging.consumer import Handler
from shared.messaging.outbox import event
from shared.messaging.topology import PROCESSES, SERVICES, event_subject, permissions
from tests.architecture.asyncapi import PAGE, document
from tests.unit.test_shared_topology import may

ROOT = Path(__file__).resolve().parents[2]
CANCELLED = OrderState(
    org_id=new_id(),
    id=new_id(),
    version=1,
    number="7K2M9QXA",
    client_id=new_id(),
    engagement_id=None,
    proposal_id=None,
    status=0,
    price=Decimal(1),
    currency="USD",
)


def test_the_document_that_is_checked_in_is_what_the_contracts_give():
    assert PAGE.read_text() == document(), "renew it: python -m tests.architecture.asyncapi"


def test_an_event_that_is_not_in_the_document_cannot_be_told():
    with pytest.raises(KeyError):
        event(new_id(), "evt.x.order.forgotten", "order.forgotten.v1", CANCELLED)
    with pytest.raises(TypeError):
        event(new_id(), "evt.x.proposal.signed", "proposal.signed.v1", CANCELLED)
    assert spelled("proposal.signed.v1").body is ProposalSigned


@pytest.mark.parametrize("name", CATALOGUE)
def test_only_the_service_that_the_document_names_may_tell_it(name: str):
    subject = event_subject(new_id(), *name.split("."))
    assert [each for each in PROCESSES if may(permissions(each).publish, subject)] == [CATALOGUE[name].owner]


@pytest.mark.parametrize("name", CATALOGUE)
def test_somebody_tells_each_event_of_the_document(name: str):
    kind = CATALOGUE[name]
    code = "".join(path.read_text() for path in (ROOT / f"services/{kind.owner}/domain").rglob("*.py"))
    assert f'"{name}.v{kind.version}"' in code or f'"{name.partition(".")[2]}"' in code


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_an_event_as_the_document_has_it(service: str):
    handlers: dict[str, Handler] = dict(import_module(f"services.{service}.messages").HANDLERS)
    heard = {type: handler for type, handler in handlers.items() if not type.startswith(f"{service}.")}
    assert {type: handler.shape for type, handler in heard.items()} == {type: spelled(type).body for type in heard}
