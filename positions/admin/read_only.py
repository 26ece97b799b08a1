"""What all pages of the history share: nobody changes anything, and everything is linked."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from positions.admin.exports import CsvExports
from positions.admin.panel import panel_link
from positions.services.permissions import Permission, user_has

# A page stays quick however long a plan ran; the rest is a link away.
MOST_ROWS = 300


class ReadOnlyAdmin(CsvExports):
    """Show rows and never change them, not even for a superuser."""

    list_per_page = 50
    show_full_result_count = False
    view_on_site = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Show it to who may see the panel."""
        return isinstance(request.user, User) and user_has(request.user, Permission.VIEW)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """List it for who may see the panel."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: history is written by the product alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: history is never changed."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: history is never deleted."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """Return every shown field, the computed ones included."""
        return [name for name in self.fields or () if isinstance(name, str)]

    @admin.display(description="panel")
    def in_panel(self, row: Any) -> SafeString:
        """Return the way to its page in the panel."""
        return panel_link(row)


def link(row: Model | None, text: str = "") -> SafeString | str:
    """Return a link to a row's page in the history."""
    if row is None:
        return "none"
    return format_html('<a href="{}">{}</a>', page_of(row), text or str(row))


def page_of(row: Model) -> str:
    """Return the address of a row's page in the history."""
    return reverse(f"admin:positions_{row._meta.model_name}_change", args=[row.pk])


def list_link(model: type[Model], text: str, **wanted: Any) -> SafeString:
    """Return a link to the rows of a model that meet the conditions."""
    address = reverse(f"admin:positions_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(wanted), text)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> SafeString:
    """Return an HTML table of text and links; a sentence if there is no row."""
    body = format_html_join(
        "", "<tr>{}</tr>", ((format_html_join("", "<td>{}</td>", _cells(row)),) for row in rows)
    )
    if not body:
        return format_html("<p>{}</p>", "None.")
    head = format_html_join("", '<th scope="col">{}</th>', _cells(titles))
    return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, body)


def _cells(row: Sequence[object]) -> Iterable[tuple[object]]:
    return ((cell,) for cell in row)


def json_text(content: str) -> SafeString:
    """Return JSON text with its line breaks."""
    return format_html("<pre>{}</pre>", content)
