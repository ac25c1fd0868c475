"""Phases and states over the live service, in any order that Hypothesis thinks of, held against the pure model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.engagements.model import EngagementStatus, Phase, ProjectStatus
from tests.component.engagement_desk import NAME, Desk, Owners, owning
from tests.support import actors
from tests.support.databases import Databases
from tests.support.servers import Broker
from tests.support.services import Service, running

EXAMPLES, STEPS = 20, 25


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(databases: Databases, shared_broker: Broker) -> AsyncIterator[Service]:
    async with databases.fresh(NAME) as dsn, running(NAME, dsn, shared_broker) as running_service:
        yield running_service


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owners(service: Service, shared_broker: Broker) -> AsyncIterator[Owners]:
    async with owning(shared_broker) as there:
        yield there


class Work(RuleBasedStateMachine):
    """One engagement with one project (a new one, when it was deleted), and what both should be."""

    def __init__(self, desk: Desk, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.desk = desk
        self.loop = loop
        self.status = EngagementStatus.ACTIVE
        self.project: str | None = None
        self.phase, self.state = Phase.KICKOFF, ProjectStatus.ACTIVE

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """The answer, from the loop that the service runs in."""
        return asyncio.run_coroutine_threadsafe(self.desk.got(method, path, body, status=status), self.loop).result()

    @initialize()
    def open(self) -> None:
        client = self.desk.owners.client(self.desk.org)
        self.engagement = self.call("POST", "engagements", {"client_id": str(client.id)}, status=201)["id"]

    @rule(status=st.sampled_from(EngagementStatus))
    def set_status_of_engagement(self, status: EngagementStatus) -> None:
        self.call("PUT", f"engagements/{self.engagement}", {"status": status})
        self.status = status

    @rule()
    def close(self) -> None:
        self.call("DELETE", f"engagements/{self.engagement}", status=204)
        self.status = EngagementStatus.CLOSED

    @precondition(lambda self: self.project is None)
    @rule()
    def begin(self) -> None:
        body = {"engagement_id": self.engagement, "name": "Website"}
        if self.status is EngagementStatus.CLOSED:
            self.call("POST", "projects", body, status=409)
        else:
            self.project = self.call("POST", "projects", body, status=201)["id"]
            self.phase, self.state = Phase.KICKOFF, ProjectStatus.ACTIVE

    @precondition(lambda self: self.project)
    @rule(phase=st.sampled_from(Phase))
    def set_phase(self, phase: Phase) -> None:
        is_active = self.state is ProjectStatus.ACTIVE
        if phase is self.phase or (is_active and self.phase.may_move_to(phase)):
            self.call("PUT", f"projects/{self.project}", {"phase": phase})
            self.phase = phase
        else:
            (told,) = self.call("PUT", f"projects/{self.project}", {"phase": phase}, status=409)["errors"]["phase"]
            assert self.phase.label in told
            assert phase.label in told

    @precondition(lambda self: self.project)
    @rule(state=st.sampled_from(ProjectStatus))
    def set_status_of_project(self, state: ProjectStatus) -> None:
        self.call("PUT", f"projects/{self.project}", {"status": state})
        self.state = state

    @precondition(lambda self: self.project)
    @rule(phase=st.sampled_from(Phase), state=st.sampled_from(ProjectStatus))
    def set_both(self, phase: Phase, state: ProjectStatus) -> None:
        is_active = ProjectStatus.ACTIVE in (self.state, state)
        is_legal = phase is self.phase or (is_active and self.phase.may_move_to(phase))
        body = {"phase": phase, "status": state}
        self.call("PUT", f"projects/{self.project}", body, status=200 if is_legal else 409)
        if is_legal:
            self.phase, self.state = phase, state

    @precondition(lambda self: self.project)
    @rule()
    def advance(self) -> None:
        following = self.phase.next
        if self.state is ProjectStatus.ACTIVE and following is not None:
            self.call("POST", f"projects/{self.project}/advance")
            self.phase = following
        else:
            self.call("POST", f"projects/{self.project}/advance", status=409)

    @precondition(lambda self: self.project)
    @rule()
    def delete(self) -> None:
        self.call("DELETE", f"projects/{self.project}", status=204)
        self.call("POST", f"projects/{self.project}/advance", status=404)
        self.project = None

    @invariant()
    def the_service_shows_what_the_model_says(self) -> None:
        engagement = self.call("GET", f"engagements/{self.engagement}")
        assert engagement["status"] == self.status.label
        assert (engagement["closed_at"] is not None) == (self.status is EngagementStatus.CLOSED)
        assert [each["id"] for each in engagement["projects"]] == ([self.project] if self.project else [])
        if self.project:
            project = self.call("GET", f"projects/{self.project}")
            assert (project["phase"], project["status"]) == (self.phase.label, self.state.label)
            assert (project["completed_at"] is not None) == (self.state is ProjectStatus.COMPLETED)
            assert project["engagement"]["status"] == self.status.label


async def test_no_order_of_calls_leads_past_the_model(service: Service, owners: Owners):
    loop = asyncio.get_running_loop()

    def work() -> Work:
        return Work(Desk(service, owners, actors.admin()), loop)

    # In a thread: Hypothesis drives its machines from outside of any loop.
    await asyncio.to_thread(
        run_state_machine_as_test,
        work,  # pyright: ignore[reportArgumentType]  # typed as a class, takes whatever makes one
        settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS),
    )
