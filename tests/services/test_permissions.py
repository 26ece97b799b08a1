"""Who may do what: the whole matrix, and that the migration gives what the code says."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User

from positions.services.actors import Actor
from positions.services.permissions import GROUPS, NotPermitted, Permission, has, require
from tests.services.conftest import Hire

pytestmark = pytest.mark.django_db

P = Permission
VIEWER = {P.VIEW}
OPERATOR = VIEWER | {P.SNAPSHOT, P.THRESHOLD, P.DRAFT, P.START, P.STOP, P.LEASE, P.CLAIM}
APPROVER = OPERATOR | {P.APPROVE, P.RELEASE, P.RESOLVE}
MATRIX = {
    "Viewer": VIEWER,
    "Operator": OPERATOR,
    "Approver": APPROVER,
    "Administrator": APPROVER | {P.POLICY, P.CONNECT},
}


@pytest.mark.parametrize("permission", list(Permission))
@pytest.mark.parametrize("group", list(MATRIX))
def test_each_group_may_exactly_what_is_listed(
    hire: Hire, group: str, permission: Permission
) -> None:
    actor = hire(group)
    allowed = permission in MATRIX[group]
    assert has(actor, permission) is allowed
    if allowed:
        require(actor, permission)
        return
    with pytest.raises(NotPermitted) as refused:
        require(actor, permission)
    assert refused.value.permission is permission
    assert actor.name in str(refused.value)


def test_the_groups_of_the_database_are_those_of_the_code() -> None:
    assert set(Group.objects.values_list("name", flat=True)) == set(GROUPS) == set(MATRIX)
    for name, permissions in GROUPS.items():
        own = Group.objects.get(name=name).permissions.exclude(codename__startswith="view_")
        expected = {str(item) for item in permissions} - {"view_panel"}
        assert set(own.values_list("codename", flat=True)) == expected


@pytest.mark.parametrize("permission", list(Permission))
def test_a_service_may_everything_that_is_not_a_persons(permission: Permission) -> None:
    allowed = permission not in {P.APPROVE, P.RELEASE, P.RESOLVE}
    assert has(Actor.service("scheduler"), permission) is allowed


@pytest.mark.parametrize("permission", list(Permission))
def test_who_is_not_active_may_nothing(hire: Hire, permission: Permission) -> None:
    actor = hire("Administrator")
    assert actor.user is not None
    actor.user.is_active = False
    assert not has(actor, permission)


def test_a_superuser_may_everything() -> None:
    root = Actor.person(User.objects.create_superuser("root"))
    assert all(has(root, permission) for permission in Permission)
