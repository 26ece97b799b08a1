"""Let administrators manage people, their groups and their second factors.

Who has every one of the product's permissions is an administrator. Only a superuser may touch
superusers, make one, or give single permissions: else an administrator could become one.
"""

from typing import TYPE_CHECKING, Any

from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest

from positions.services.permissions import Permission, user_has

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _UserAdmin = UserAdmin[User]
else:  # Django's classes take type arguments in their stubs only
    _ModelAdmin, _UserAdmin = admin.ModelAdmin, UserAdmin


def is_administrator(request: HttpRequest) -> bool:
    """Tell whether the person may manage people."""
    user = request.user
    return isinstance(user, User) and all(user_has(user, item) for item in Permission)


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False)) and request.user.is_active


class ByAdministrators(_ModelAdmin):
    """Open a page to administrators; what they do is written to Django's own log."""

    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        """List it for administrators."""
        return is_administrator(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show it to administrators."""
        return is_administrator(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Let administrators add."""
        return is_administrator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let administrators change."""
        return is_administrator(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave deleting to superusers: whoever left is made inactive."""
        return _is_superuser(request)


class PeopleAdmin(ByAdministrators, _UserAdmin):
    """Manage who may sign in and to which groups they belong."""

    list_display = ["username", "first_name", "last_name", "is_active", "last_login"]
    list_filter = ["is_active", "groups"]
    _FOR_SUPERUSERS = ("is_staff", "is_superuser", "user_permissions")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Return what this person may not change."""
        always = ("last_login", "date_joined")
        return always if _is_superuser(request) else (*always, *self._FOR_SUPERUSERS)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let administrators change everybody but superusers."""
        if obj is not None and obj.is_superuser:
            return _is_superuser(request)
        return is_administrator(request)


class GroupsAdmin(ByAdministrators, GroupAdmin):
    """Manage what each group may do; only superusers change it."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Leave it to superusers: a group's permissions are as good as one's own."""
        return _is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave it to superusers."""
        return _is_superuser(request)


class AuthenticatorAdmin(ByAdministrators):
    """Show who has a second factor, and remove a lost one; its secret is never shown."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]
    list_filter = ["type"]
    search_fields = ["user__username"]
    fields = ("user", "type", "created_at", "last_used_at")
    readonly_fields = ("user", "type", "created_at", "last_used_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: everybody sets up their own."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: everybody sets up their own."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Authenticator | None = None) -> bool:
        """Let administrators help who lost it, but only superusers another superuser."""
        if obj is not None and obj.user.is_superuser:
            return _is_superuser(request)
        return is_administrator(request)
