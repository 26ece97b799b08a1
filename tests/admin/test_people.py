"""Administrators manage people, and can't make themselves more than they are."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from tests.commands import builders

PEOPLE = "admin:auth_user"


@pytest.fixture
def administrator(db: None) -> Client:
    """Return the browser of a member of the group Administrator."""
    client = Client()
    client.force_login(builders.person("ada", "Administrator"))
    return client


def form(user: User, **changes: object) -> dict[str, object]:
    """Return what the page of a person sends."""
    joined = user.date_joined
    return {
        "username": user.username,
        "is_active": "on",
        "date_joined_0": f"{joined:%Y-%m-%d}",
        "date_joined_1": f"{joined:%H:%M:%S}",
        **changes,
    }


def test_an_administrator_adds_people_and_puts_them_into_groups(administrator: Client) -> None:
    new = {
        "username": "otto",
        "usable_password": "true",
        "password1": "quite some phrase",
        "password2": "quite some phrase",
    }
    assert administrator.post(reverse(f"{PEOPLE}_add"), new).status_code == 302
    otto = User.objects.get(username="otto")
    operator = Group.objects.get(name="Operator")
    address = reverse(f"{PEOPLE}_change", args=[otto.pk])
    assert administrator.get(address).status_code == 200
    assert administrator.post(address, form(otto, groups=[operator.pk])).status_code == 302
    assert list(otto.groups.all()) == [operator]


def test_an_administrator_makes_nobody_a_superuser(administrator: Client) -> None:
    ada = User.objects.get(username="ada")
    address = reverse(f"{PEOPLE}_change", args=[ada.pk])
    sent = form(ada, is_superuser="on", is_staff="on", user_permissions=[1])
    assert administrator.post(address, sent).status_code == 302
    ada.refresh_from_db()
    assert (ada.is_superuser, ada.is_staff, ada.user_permissions.count()) == (False, False, 0)


def test_an_administrator_can_neither_change_a_superuser_nor_their_password(
    administrator: Client, root: User
) -> None:
    for name in ("auth_user_change", "auth_user_password_change"):
        address = reverse(f"admin:{name}", args=[root.pk])
        taken = {"password1": "taken over now", "password2": "taken over now"}
        assert administrator.post(address, form(root) | taken).status_code == 403
    root.refresh_from_db()
    assert root.check_password("a long enough one")


def test_an_administrator_reads_groups_and_only_a_superuser_changes_them(
    administrator: Client, as_root: Client
) -> None:
    address = reverse("admin:auth_group_change", args=[Group.objects.get(name="Viewer").pk])
    assert administrator.get(address).status_code == 200
    assert administrator.post(address, {"name": "Lookers"}).status_code == 403
    assert as_root.post(address, {"name": "Lookers"}).status_code == 302


@pytest.mark.parametrize("group", ["Viewer", "Operator", "Approver"])
def test_everybody_else_sees_no_people(db: None, group: str) -> None:
    client = Client()
    client.force_login(builders.person("vera", group))
    for name in ("auth_user", "auth_group", "mfa_authenticator"):
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403


def test_a_second_factor_can_be_removed_but_its_secret_is_never_shown(
    administrator: Client, root: User
) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    vera = builders.person("vera", "Viewer")
    lost = Authenticator.objects.create(user=vera, type="totp", data={"secret": secret})
    kept = Authenticator.objects.create(user=root, type="totp", data={"secret": secret})
    for address in (
        reverse("admin:mfa_authenticator_changelist"),
        reverse("admin:mfa_authenticator_change", args=[lost.pk]),
    ):
        assert secret not in administrator.get(address).content.decode()
    for row in (lost, kept):
        administrator.post(
            reverse("admin:mfa_authenticator_delete", args=[row.pk]), {"post": "yes"}
        )
    assert list(Authenticator.objects.all()) == [kept]
