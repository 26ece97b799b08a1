"""Let what hovers around the dust threshold keep its slot."""

from django.db import migrations, models
from django.db.models import F

import positions.models.fields


def date_thresholds(apps, schema_editor):
    """Let each threshold hold since its own version: nothing was remembered before."""
    apps.get_model("positions", "DustPolicy").objects.update(threshold_since=F("created_at"))


class Migration(migrations.Migration):

    dependencies = [
        ("positions", "0008_unverified"),
    ]

    operations = [
        migrations.AddField(
            model_name="dustpolicy",
            name="counting_band",
            field=positions.models.fields.ExactDecimalField(default="0.05"),
        ),
        migrations.AddField(
            model_name="dustpolicy",
            name="threshold_since",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="position",
            name="counted_at",
            field=positions.models.fields.ExactDecimalField(
                help_text="The dust threshold at which it was counted when it was read.", null=True
            ),
        ),
        migrations.RunPython(date_thresholds, migrations.RunPython.noop),
        migrations.AlterField(
            model_name="dustpolicy",
            name="threshold_since",
            field=models.DateTimeField(
                help_text="When the dust threshold became what it is, through however many versions."
            ),
        ),
    ]
