"""Make the four groups and give each its permissions."""

from django.db import migrations

VIEWER = {"view_panel"}
OPERATOR = VIEWER | {
    "take_snapshot",
    "change_threshold",
    "draft_plan",
    "start_plan",
    "stop_trading",
}
APPROVER = OPERATOR | {"approve_plan", "release_halt"}
ADMINISTRATOR = APPROVER | {"change_policy", "connect_account"}
GROUPS = {
    "Viewer": VIEWER,
    "Operator": OPERATOR,
    "Approver": APPROVER,
    "Administrator": ADMINISTRATOR,
}
HISTORY = (
    "exchangeaccount dustpolicy snapshot position cleanupplan closeorder attempt fill auditevent"
    " halt"
).split()


def make_groups(apps, schema_editor):
    Group = apps.get_model("auth", "Group")
    Permission = apps.get_model("auth", "Permission")
    ContentType = apps.get_model("contenttypes", "ContentType")
    # Django creates permissions after all migrations; the groups need them now.
    content_type, _ = ContentType.objects.get_or_create(
        app_label="positions", model="exchangeaccount"
    )
    names = dict(apps.get_model("positions", "ExchangeAccount")._meta.permissions)
    own = {
        codename: Permission.objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )[0]
        for codename, name in names.items()
    }
    history = []
    for model in HISTORY:
        model_type, _ = ContentType.objects.get_or_create(app_label="positions", model=model)
        label = apps.get_model("positions", model)._meta.verbose_name
        history.append(
            Permission.objects.get_or_create(
                content_type=model_type,
                codename=f"view_{model}",
                defaults={"name": f"Can view {label}"},
            )[0]
        )
    for group_name, codenames in GROUPS.items():
        group, _ = Group.objects.get_or_create(name=group_name)
        group.permissions.add(*(own[codename] for codename in codenames), *history)


def keep_groups(apps, schema_editor):
    """Leave the groups: people may be in them."""


class Migration(migrations.Migration):
    dependencies = [
        ("positions", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(make_groups, keep_groups)]
