"""Let a person close an order that the exchange does not tell of, and give approvers the right."""

import positions.domain.orders
from django.db import migrations, models


def give_the_right(apps, schema_editor):
    # Django creates permissions after all migrations; the groups need it now.
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="positions", model="exchangeaccount"
    )
    codename = "resolve_order"
    name = dict(apps.get_model("positions", "ExchangeAccount")._meta.permissions)[codename]
    right, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    for group in apps.get_model("auth", "Group").objects.filter(
        name__in=["Approver", "Administrator"]
    ):
        group.permissions.add(right)


def take_the_right_back(apps, schema_editor):
    apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="positions", codename="resolve_order"
    ).delete()


class Migration(migrations.Migration):

    dependencies = [
        ('positions', '0003_connections'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='exchangeaccount',
            options={'ordering': ['slug'], 'permissions': [('view_panel', 'Can see accounts, plans and history'), ('take_snapshot', 'Can ask for a snapshot'), ('change_threshold', 'Can change the dust threshold and the asset lists'), ('draft_plan', 'Can draft a cleanup plan'), ('start_plan', 'Can start a plan on an account without live money'), ('stop_trading', 'Can pause and halt plans and press the kill switch'), ('approve_plan', 'Can approve plans and start them on live accounts'), ('release_halt', 'Can release the kill switch'), ('resolve_order', 'Can close an unknown order by hand'), ('change_policy', 'Can change every field of a policy'), ('connect_account', 'Can connect exchange accounts')]},
        ),
        migrations.RemoveConstraint(
            model_name='closeorder',
            name='one_open_order_per_asset',
        ),
        migrations.RemoveIndex(
            model_name='closeorder',
            name='due_orders',
        ),
        migrations.AlterField(
            model_name='closeorder',
            name='status',
            field=models.CharField(choices=[('PLANNED', 'Planned'), ('SUBMITTING', 'Submitting'), ('ACCEPTED', 'Accepted'), ('PARTIALLY_FILLED', 'Partially filled'), ('FILLED', 'Filled'), ('CANCELED', 'Canceled'), ('EXPIRED', 'Expired'), ('REJECTED', 'Rejected'), ('DENIED', 'Denied'), ('UNKNOWN', 'Unknown'), ('RESOLVED', 'Resolved')], default=positions.domain.orders.OrderState['PLANNED'], max_length=20),
        ),
        migrations.AddIndex(
            model_name='closeorder',
            index=models.Index(condition=models.Q(('status__in', [positions.domain.orders.OrderState['CANCELED'], positions.domain.orders.OrderState['DENIED'], positions.domain.orders.OrderState['EXPIRED'], positions.domain.orders.OrderState['FILLED'], positions.domain.orders.OrderState['REJECTED'], positions.domain.orders.OrderState['RESOLVED']]), _negated=True), fields=['due_at'], name='due_orders'),
        ),
        migrations.AddConstraint(
            model_name='closeorder',
            constraint=models.UniqueConstraint(condition=models.Q(('status__in', [positions.domain.orders.OrderState['CANCELED'], positions.domain.orders.OrderState['DENIED'], positions.domain.orders.OrderState['EXPIRED'], positions.domain.orders.OrderState['FILLED'], positions.domain.orders.OrderState['REJECTED'], positions.domain.orders.OrderState['RESOLVED']]), _negated=True), fields=('account', 'asset'), name='one_open_order_per_asset'),
        ),
        migrations.RunPython(give_the_right, take_the_right_back),
    ]
