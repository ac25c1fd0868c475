"""One proposal, walked through the public API from draft to signature, and what came out, shown."""

from __future__ import annotations

import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from deploy.local.api import Api, Proposal, Signed

CLIENT_EMAIL = "jane@roe.example"
_SIGN_WAIT_SECONDS = 30
_PROPOSAL = {
    "client_email": CLIENT_EMAIL,
    "client_name_f": "Jane",
    "client_name_l": "Roe",
    "client_company": "Roe & Daughters",
    "items": [
        {"name": "Website Redesign", "description": "Twelve pages, a new look, the old addresses.", "price": "8500.00"},
        {"name": "Search Optimisation", "description": "Audit, and six months of care.", "price": "3600.00"},
        {"name": "Brand Guide", "description": "Logo, colours, type, tone of voice.", "price": "2400.00"},
    ],
}


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk made, and how long each call took, in milliseconds."""

    signed: Signed
    calls: tuple[tuple[str, float], ...]


async def walk(api: Api, *, admin_token: str, client_token: str | None) -> Walk:
    """Draft, send, sign: the client signs where there is one; the first signature makes the client.

    Raises ApiRefused.
    """
    draft = await api.post("draft", "/api/proposals", admin_token, _PROPOSAL, Proposal)
    await api.post("send", f"/api/proposals/{draft.id}/send", admin_token, None, Proposal)
    signed = await api.post(
        "sign",
        f"/api/proposals/{draft.id}/sign",
        client_token or admin_token,
        {"signer_name": "Jane Roe"},
        Signed,
        wait_seconds=_SIGN_WAIT_SECONDS,
    )
    return Walk(signed=signed, calls=tuple(api.calls))


def links(walked: Walk, gateway_url: str, admin_token: str) -> list[str]:
    """How long it took, and where to look next; lines to be shown unbroken, since one of them is for a shell."""
    report = f"{gateway_url}/api/proposals/{walked.signed.proposal.id}/sign"
    took = " · ".join(f"{name} {milliseconds:.0f} ms" for name, milliseconds in walked.calls)
    return [
        f"Calls          {took}",
        f"API            {gateway_url}/api",
        f"Documentation  {gateway_url}/api/docs",
        f"OpenAPI        {gateway_url}/api/openapi.json",
        f"Sign report    {report}",
        f"Try it         curl -H 'Authorization: Bearer {admin_token}' {report}",
    ]


def table(walked: Walk) -> Table:
    """What the signature made, with ids and states."""
    signed = walked.signed
    client = signed.engagement.client
    made = Table(
        title="One signature made this", title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in ("", "What", "State", "Id"):
        made.add_column(column, style="bold" if not column else "", overflow="fold", no_wrap=column == "Id")
    rows = [
        (
            "Proposal",
            _money(signed.proposal.currency, signed.proposal.total),
            signed.proposal.status,
            signed.proposal.id,
        ),
        ("Client", f"{client.name} <{client.email}>", "", client.id),
        ("Engagement", signed.engagement.name, signed.engagement.status, signed.engagement.id),
    ]
    for number, project in enumerate(signed.projects, 1):
        rows.append((f"Project {number}", project.name, f"{project.status}, {project.phase}", project.id))
    order = signed.order
    rows.append(("Order", f"{order.number}, {_money(order.currency, order.price)}", order.status, order.id))
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def _money(currency: str, amount: str) -> str:
    whole, _, cents = amount.partition(".")
    return f"{currency} {int(whole):,}.{cents}"
