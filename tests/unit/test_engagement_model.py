"""Engagements and projects: every move, legal or not."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from services.engagements.model import (
    Client,
    Engagement,
    EngagementChanges,
    EngagementRef,
    EngagementStatus,
    IllegalMove,
    Phase,
    Project,
    ProjectChanges,
    ProjectNotAdvanceable,
    ProjectStatus,
)
from shared.ids import new_id

NOW = datetime(2026, 2, 8, 12, tzinfo=UTC)
LATER = datetime(2026, 2, 9, 12, tzinfo=UTC)
LEGAL = {(phase, Phase(phase + 1)) for phase in Phase if phase is not Phase.HANDOFF} | {(Phase.TESTING, Phase.BUILD)}


def project(phase: Phase = Phase.KICKOFF, status: ProjectStatus = ProjectStatus.ACTIVE) -> Project:
    return Project(
        id=new_id(),
        org_id=new_id(),
        version=1,
        engagement=EngagementRef(id=new_id(), name="E", client_id=new_id(), status=EngagementStatus.ACTIVE),
        name="Website",
        description=None,
        status=status,
        phase=phase,
        service=None,
        created_at=NOW,
        updated_at=NOW,
        completed_at=NOW if status is ProjectStatus.COMPLETED else None,
    )


def engagement() -> Engagement:
    return Engagement(
        id=new_id(),
        org_id=new_id(),
        version=1,
        client=Client(id=new_id(), name_f="Jane", name_l="Roe", email="jane@roe.example"),
        proposal_id=None,
        name="E",
        status=EngagementStatus.ACTIVE,
        created_at=NOW,
        updated_at=NOW,
        closed_at=None,
    )


@pytest.mark.parametrize(("start", "end"), sorted(LEGAL))
def test_a_phase_moves_one_step_forward_or_from_testing_back_to_build(start: Phase, end: Phase):
    moved = project(start).moved_to(end, LATER)
    assert (moved.phase, moved.updated_at, moved.version) == (end, LATER, 2)


@pytest.mark.parametrize(("start", "end"), sorted(set(itertools.product(Phase, Phase)) - LEGAL))
def test_every_other_move_names_both_phases(start: Phase, end: Phase):
    with pytest.raises(IllegalMove) as caught:
        project(start).moved_to(end, LATER)
    (told,) = caught.value.errors["phase"]
    assert start.label in told
    assert end.label in told


@pytest.mark.parametrize("before", ProjectStatus)
@pytest.mark.parametrize("after", [UNSET, *ProjectStatus])
def test_a_phase_moves_only_while_the_project_is_or_becomes_active(
    before: ProjectStatus, after: ProjectStatus | UnsetType
):
    here = project(Phase.TESTING, status=before)
    for phase in (Phase.BUILD, Phase.DEPLOYMENT):
        changes = ProjectChanges(phase=phase, status=after)
        if ProjectStatus.ACTIVE in (before, after):
            moved = here.changed(changes, LATER)
            assert (moved.phase, moved.version) == (phase, 2)
            assert moved.status is (before if after is UNSET else after)
        else:
            with pytest.raises(IllegalMove) as caught:
                here.changed(changes, LATER)
            (detail,) = caught.value.errors["phase"]
            assert all(label in detail for label in ("Testing", phase.label, before.label))
    assert here.changed(ProjectChanges(phase=Phase.TESTING), LATER) is here


def test_advancing_walks_from_kickoff_to_handoff():
    walked = project()
    for phase in list(Phase)[1:]:
        walked = walked.advanced(LATER)
        assert walked.phase is phase
    with pytest.raises(ProjectNotAdvanceable, match="Handoff"):
        walked.advanced(LATER)


@pytest.mark.parametrize("status", [status for status in ProjectStatus if status is not ProjectStatus.ACTIVE])
def test_only_an_active_project_advances(status: ProjectStatus):
    with pytest.raises(ProjectNotAdvanceable, match=status.label):
        project(status=status).advanced(LATER)


@pytest.mark.parametrize(("start", "end"), list(itertools.product(ProjectStatus, ProjectStatus)))
def test_a_project_is_completed_at_some_time_exactly_while_it_is_completed(start: ProjectStatus, end: ProjectStatus):
    moved = project(status=start).with_status(end, LATER)
    assert moved.status is end
    assert (moved.completed_at is not None) == (end is ProjectStatus.COMPLETED)


@pytest.mark.parametrize("status", list(EngagementStatus))
def test_an_engagement_is_closed_at_some_time_exactly_while_it_is_closed(status: EngagementStatus):
    moved = engagement().with_status(status, LATER)
    assert (moved.closed_at is not None) == (status is EngagementStatus.CLOSED)
    assert moved.with_status(EngagementStatus.ACTIVE, LATER).closed_at is None


def test_setting_the_status_that_it_has_changes_nothing():
    closed = engagement().with_status(EngagementStatus.CLOSED, NOW)
    assert closed.with_status(EngagementStatus.CLOSED, LATER) is closed
    done = replace(project(), status=ProjectStatus.COMPLETED, completed_at=NOW)
    assert done.with_status(ProjectStatus.COMPLETED, LATER) is done


def test_all_changes_together_make_one_version():
    changes = ProjectChanges(name="After", description="d", status=ProjectStatus.COMPLETED, phase=Phase.SETUP)
    changed = project().changed(changes, LATER)
    assert (changed.name, changed.description, changed.phase) == ("After", "d", Phase.SETUP)
    assert (changed.version, changed.updated_at, changed.completed_at) == (2, LATER, LATER)
    renamed = engagement().changed(EngagementChanges(name="After", status=EngagementStatus.CLOSED), LATER)
    assert (renamed.name, renamed.version, renamed.updated_at, renamed.closed_at) == ("After", 2, LATER, LATER)


def test_what_is_not_sent_stays_and_null_clears():
    described = replace(project(), description="d")
    assert described.changed(ProjectChanges(name="After"), LATER).description == "d"
    assert described.changed(ProjectChanges(description=None), LATER).description is None


def test_changes_to_what_is_so_already_change_nothing():
    here = project()
    same = ProjectChanges(name=here.name, description=here.description, status=here.status, phase=here.phase)
    assert here.changed(same, LATER) is here
    assert here.changed(ProjectChanges(), LATER) is here
    there = engagement()
    assert there.changed(EngagementChanges(name=there.name, status=there.status), LATER) is there


def test_an_illegal_move_refuses_everything_sent_with_it():
    with pytest.raises(IllegalMove):
        project().changed(ProjectChanges(name="After", phase=Phase.BUILD), LATER)


def test_an_engagement_without_a_name_is_named_after_its_client():
    here = engagement()
    assert here.changed(EngagementChanges(name=""), LATER).name == "Jane Roe - Engagement"
    long = replace(here.client, name_f="F" * 300)
    assert len(long.engagement_name) == 255
