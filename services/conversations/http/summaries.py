"""`/internal/engagements/{id}/conversations`: what the gateway joins into an engagement."""

from __future__ import annotations

from litestar import Controller, get

from services.conversations import views
from services.conversations.store import conversations
from services.conversations.views import SummaryView
from shared.ids import parse_id
from shared.web.inputs import Asker, Db, IdInPath


class SummaryController(Controller):
    path = "/internal/engagements/{engagement_id:str}/conversations"
    include_in_schema = False

    @get()
    async def browse(self, actor: Asker, database: Db, engagement_id: IdInPath) -> list[SummaryView]:
        engagement = parse_id(engagement_id)
        if engagement is None:
            return []
        async with database.single() as tx:
            found = await conversations.of_engagement(tx, actor.org_id, engagement, only_of=actor.client_id)
        return [views.summary(conversation) for conversation in found]
