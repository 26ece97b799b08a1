"""Route the product's pages, each under the name of its view and its template."""

from django.urls import path

from positions.views import (
    accounts,
    analysis,
    bots,
    connections,
    health,
    key_changes,
    orders,
    plans,
    policies,
    policy_pages,
    progress,
    reports,
    stops,
)

app_name = "positions"
urlpatterns = [
    path("", accounts.account_list, name="account_list"),
    # Before the accounts' own pages: no account may be called like one of these.
    path("accounts/connect/", connections.connect_account, name="connect_account"),
    path("accounts/<slug:slug>/", analysis.account_detail, name="account_detail"),
    path("accounts/<slug:slug>/what-if/", analysis.what_if, name="what_if"),
    path("accounts/<slug:slug>/snapshot/", analysis.take_snapshot, name="take_snapshot"),
    path("accounts/<slug:slug>/snapshot/status/", analysis.snapshot_status, name="snapshot_status"),
    path("accounts/<slug:slug>/threshold/", policies.set_threshold, name="set_threshold"),
    path("accounts/<slug:slug>/protect/", policies.protect_asset, name="protect_asset"),
    path("accounts/<slug:slug>/unprotect/", policies.unprotect_asset, name="unprotect_asset"),
    path("accounts/<slug:slug>/ignore/", policies.ignore_asset, name="ignore_asset"),
    path("accounts/<slug:slug>/unignore/", policies.unignore_asset, name="unignore_asset"),
    path("accounts/<slug:slug>/policy/", policy_pages.policy_detail, name="policy_detail"),
    path("accounts/<slug:slug>/key/", key_changes.replace_key, name="replace_key"),
    path("accounts/<slug:slug>/disable/", connections.disable_account, name="disable_account"),
    path(
        "accounts/<slug:slug>/unverified/", connections.accept_unverified, name="accept_unverified"
    ),
    path("accounts/<slug:slug>/enable/", connections.enable_account, name="enable_account"),
    path("accounts/<slug:slug>/plans/", plans.draft_plan, name="draft_plan"),
    path(
        "accounts/<slug:slug>/enforcement/",
        plans.draft_enforcement_plan,
        name="draft_enforcement_plan",
    ),
    path("accounts/<slug:slug>/stop/", stops.stop_account, name="stop_account"),
    path(
        "accounts/<slug:slug>/stop/release/",
        stops.release_account_stop,
        name="release_account_stop",
    ),
    path("accounts/<slug:slug>/leases/<int:pk>/end/", bots.end_lease, name="end_lease"),
    path(
        "accounts/<slug:slug>/claims/<int:pk>/give-back/",
        bots.give_claim_back,
        name="give_claim_back",
    ),
    path("bots/", bots.bot_list, name="bot_list"),
    path("bots/<slug:prefix>/revoke/", bots.revoke_token, name="revoke_token"),
    path("plans/<int:pk>/", plans.plan_detail, name="plan_detail"),
    path("plans/<int:pk>/progress/", progress.plan_progress, name="plan_progress"),
    path("plans/<int:pk>/closing/", progress.closing_snapshot, name="closing_snapshot"),
    path("plans/<int:pk>/report.csv", reports.plan_report, name="plan_report"),
    path("plans/<int:pk>/start/", plans.start_plan, name="start_plan"),
    path("plans/<int:pk>/approve/", plans.approve_plan, name="approve_plan"),
    path("plans/<int:pk>/reject/", plans.reject_plan, name="reject_plan"),
    path("plans/<int:pk>/pause/", plans.pause_plan, name="pause_plan"),
    path("plans/<int:pk>/resume/", plans.resume_plan, name="resume_plan"),
    path("plans/<int:pk>/halt/", plans.halt_plan, name="halt_plan"),
    path("orders/<int:pk>/", orders.order_detail, name="order_detail"),
    path("orders/<int:pk>/progress/", orders.order_progress, name="order_progress"),
    path("orders/<int:pk>/resolve/", orders.resolve_order, name="resolve_order"),
    path("stop/", stops.stop_all, name="stop_all"),
    path("stop/release/", stops.release_stop, name="release_stop"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
