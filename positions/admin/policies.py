"""Show every version of every policy."""

from django.contrib import admin
from django.utils.safestring import SafeString

from positions.admin.read_only import ReadOnlyAdmin, link
from positions.models import DustPolicy


class PolicyAdmin(ReadOnlyAdmin):
    """List policy versions: who changed what the thresholds and guards are, and when."""

    list_display = [
        "version_name",
        "account_link",
        "dust_threshold",
        "winning_threshold",
        "position_cap",
        "created_by_name",
        "created_at",
        "note",
    ]
    list_select_related = ["account"]
    list_filter = ["account", "created_by", "created_at"]
    search_fields = ["account__slug", "note", "created_by_name"]
    date_hierarchy = "created_at"
    fields = [
        "in_panel",
        *(
            field.name
            for field in DustPolicy._meta.fields
            if field.name not in {"id", "created_by"}
        ),
    ]

    @admin.display(description="policy", ordering="version")
    def version_name(self, policy: DustPolicy) -> str:
        """Return the version as people say it."""
        return f"v{policy.version}"

    @admin.display(description="account", ordering="account__slug")
    def account_link(self, policy: DustPolicy) -> SafeString | str:
        """Return the way to its account."""
        return link(policy.account)
