"""Keep bots' tokens, leases and claims, and let operators end what a bot left behind."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

RIGHTS = ("lease_slot", "claim_asset")


def give_the_rights(apps, schema_editor):
    # Django creates permissions after all migrations; the groups need them now.
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="positions", model="exchangeaccount"
    )
    names = dict(apps.get_model("positions", "ExchangeAccount")._meta.permissions)
    rights = [
        apps.get_model("auth", "Permission").objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": names[codename]}
        )[0]
        for codename in RIGHTS
    ]
    for group in apps.get_model("auth", "Group").objects.filter(
        name__in=["Operator", "Approver", "Administrator"]
    ):
        group.permissions.add(*rights)


def take_the_rights_back(apps, schema_editor):
    apps.get_model("auth", "Permission").objects.filter(
        content_type__app_label="positions", codename__in=RIGHTS
    ).delete()


class Migration(migrations.Migration):

    dependencies = [
        ('positions', '0009_counting_band'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='exchangeaccount',
            options={'ordering': ['slug'], 'permissions': [('view_panel', 'Can see accounts, plans and history'), ('take_snapshot', 'Can ask for a snapshot'), ('change_threshold', 'Can change the dust threshold and the asset lists'), ('draft_plan', 'Can draft a cleanup plan'), ('start_plan', 'Can start a plan on an account without live money'), ('stop_trading', 'Can pause and halt plans and press the kill switch'), ('approve_plan', 'Can approve plans and start them on live accounts'), ('release_halt', 'Can release the kill switch'), ('resolve_order', 'Can close an unknown order by hand'), ('change_policy', 'Can change every field of a policy'), ('connect_account', 'Can connect exchange accounts'), ('lease_slot', 'Can end the leases of bots'), ('claim_asset', 'Can give back what bots have claimed')]},
        ),
        migrations.CreateModel(
            name='BotToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('bot', models.CharField(help_text="The bot's name; it may have several.", max_length=60)),
                ('prefix', models.CharField(max_length=12, unique=True)),
                ('secret_hash', models.CharField(editable=False, help_text='SHA-256.', max_length=64)),
                ('scopes', models.JSONField(default=list)),
                ('created_by_name', models.CharField(max_length=150)),
                ('created_at', models.DateTimeField()),
                ('expires_at', models.DateTimeField()),
                ('revoked_at', models.DateTimeField(null=True)),
                ('revoked_by_name', models.CharField(blank=True, max_length=150)),
                ('last_used_at', models.DateTimeField(null=True)),
                ('accounts', models.ManyToManyField(related_name='bot_tokens', to='positions.exchangeaccount')),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Claim',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asset', models.CharField(max_length=40)),
                ('bot', models.CharField(max_length=60)),
                ('created_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('until', models.DateTimeField()),
                ('reason', models.CharField(max_length=200)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='positions.exchangeaccount')),
                ('token', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='positions.bottoken')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(condition=models.Q(('ended_at', None)), fields=['until'], name='claims_in_force')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('account', 'asset'), name='one_claim_per_asset')],
            },
        ),
        migrations.CreateModel(
            name='Lease',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asset', models.CharField(max_length=40)),
                ('bot', models.CharField(max_length=60)),
                ('created_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField()),
                ('idempotency_key', models.CharField(max_length=100)),
                ('body_digest', models.CharField(help_text='Of what was asked for under the key.', max_length=64)),
                ('ended_how', models.CharField(blank=True, choices=[('released', 'Released'), ('not_opened', 'Released, nothing was opened'), ('expired', 'Expired')], max_length=12)),
                ('opened', models.BooleanField(help_text='Whether a trade was opened, if it was told.', null=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='positions.exchangeaccount')),
                ('token', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='positions.bottoken')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['account', 'ended_at'], name='leases_by_end'), models.Index(condition=models.Q(('ended_at', None)), fields=['expires_at'], name='leases_in_force')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('ended_at', None)), fields=('account', 'asset'), name='one_lease_per_asset'), models.UniqueConstraint(fields=('token', 'idempotency_key'), name='one_lease_per_idempotency_key')],
            },
        ),
        migrations.RunPython(give_the_rights, take_the_rights_back),
    ]
