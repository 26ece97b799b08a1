"""Hand out any list of the history as CSV: what is selected, or all that match its filters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count, ForeignKey, Max, QuerySet
from django.http import (
    HttpRequest,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.urls import URLPattern, path
from django.utils import timezone

from positions.models import ExchangeAccount
from positions.selectors.cells import csv_pieces
from positions.services.actors import Actor
from positions.services.exports import note_export

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:  # Django's classes take type arguments in their stubs only
    _ModelAdmin = admin.ModelAdmin


class CsvExports(_ModelAdmin):
    """Export the fields that a row's page shows, and what `also_exported` names."""

    actions = ["export_selected"]
    also_exported: Sequence[str] = ()  # look-ups, such as order__client_order_id

    def get_urls(self) -> list[URLPattern]:
        """Add the address that exports everything a list's filters leave."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        every = self.admin_site.admin_view(self.export_all)
        return [path("export/", every, name=name), *super().get_urls()]

    @admin.action(description="Export selected as CSV", permissions=["view"])
    def export_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
        """Export the rows that were ticked."""
        if request.POST.get("select_across") == "1":
            return self._exported(request, rows, {"filter": f"?{request.META['QUERY_STRING']}"})
        return self._exported(request, rows, {"ids": list(rows.values_list("pk", flat=True))})

    def export_all(self, request: HttpRequest) -> HttpResponseBase:
        """Export every row that the list's search, filters and date leave."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        try:
            found = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect("../?e=1")  # as the list itself answers
        return self._exported(request, found.queryset, {"filter": found.get_query_string()})

    def _exported(
        self, request: HttpRequest, rows: QuerySet[Any], asked: dict[str, Any]
    ) -> HttpResponseBase:
        now = timezone.now()
        # Up to the newest of this moment: what is written meanwhile, the export's own event
        # included, is not in a file that says how many rows it has.
        there = rows.aggregate(rows=Count("pk"), newest=Max("pk"))
        note_export(
            str(self.opts.verbose_name_plural),
            rows=there["rows"],
            asked=asked,
            actor=Actor.person(cast(User, request.user)),  # the site lets nobody else in
            now=now,
        )
        columns = self._columns()
        values = rows.filter(pk__lte=there["newest"] or 0).values_list(*columns)
        header = [name.replace("__slug", "").replace("__", "_") for name in columns]
        file = f"{str(self.opts.verbose_name_plural).replace(' ', '-')}-{now:%Y%m%dT%H%M%SZ}.csv"
        return StreamingHttpResponse(
            csv_pieces(header, values.iterator(chunk_size=1000)),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{file}"'},
        )

    def _columns(self) -> list[str]:
        """Return the look-ups to export: nothing that the page keeps to itself can get out."""
        fields = {field.name: field for field in self.opts.concrete_fields}
        shown = [fields[name] for name in self.fields or () if name in fields]
        return ["id", *(_lookup(field) for field in shown), *self.also_exported]


def _lookup(field: Any) -> str:
    if isinstance(field, ForeignKey):
        return f"{field.name}__slug" if field.related_model is ExchangeAccount else field.attname
    return str(field.name)
