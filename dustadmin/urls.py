"""Route the project's addresses: pages, sign-in, the history, the bots' API."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

_ICON = "/static/positions/img/logo.svg"

# One way in for everybody: the history has no sign-in page of its own.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    # Browsers ask for it on pages that name no icon, such as the history's.
    path("favicon.ico", login_not_required(RedirectView.as_view(url=_ICON))),
    path("auth/", login_not_required(RedirectView.as_view(pattern_name="account_login"))),
    path("auth/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("positions.api.version1")),
    path("", include("positions.urls")),
]
handler500 = "positions.views.errors.broken"
