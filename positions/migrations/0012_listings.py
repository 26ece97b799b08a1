"""Keep which assets an exchange trades, so that bots can't reserve slots for what does not exist."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("positions", "0011_enforcement"),
    ]

    operations = [
        migrations.CreateModel(
            name="Listing",
            fields=[
                (
                    "account",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="listing",
                        serialize=False,
                        to="positions.exchangeaccount",
                    ),
                ),
                ("assets", models.JSONField(default=list)),
                ("read_at", models.DateTimeField()),
            ],
        ),
    ]
