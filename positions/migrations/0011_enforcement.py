"""Keep what a plan is for: to close dust, or to bring an account back to its cap."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("positions", "0010_bots"),
    ]

    operations = [
        migrations.AddField(
            model_name="cleanupplan",
            name="purpose",
            field=models.CharField(
                choices=[("DUST", "Close dust"), ("ENFORCE", "Enforce the cap")],
                default="DUST",
                max_length=10,
            ),
        ),
    ]
