"""Read the policy page's form: every field as text, parsed like everywhere else."""

from collections.abc import Collection, Mapping
from typing import Any

from django import forms

from positions.domain.policies import Policy
from positions.domain.policy_fields import FIELDS, PolicyField, Unit, written
from positions.services.policies import BadPolicy, parse

_OFF = {"autocomplete": "off", "spellcheck": "false"}
_LARGEST = 2**31 - 1


class PolicyForm(forms.Form):
    """A policy as a person edits it; fields that they may not change are only shown."""

    version = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=_LARGEST)

    def __init__(
        self,
        policy: Policy,
        *,
        may_change: Collection[str],
        data: Mapping[str, Any] | None = None,
    ) -> None:
        """Show this policy, or what was typed over it."""
        super().__init__(data)
        self.parsed: dict[str, Any] = {}
        self.fields["version"].initial = policy.version
        for name, field in FIELDS.items():
            self.fields[name] = _text_field(
                field,
                initial=written(field, getattr(policy, name)),
                disabled=name not in may_change,
            )
        self.fields["note"] = forms.CharField(
            label="Why",
            help_text="It stands in the history beside the change.",
            max_length=200,
            widget=forms.TextInput(attrs={**_OFF, "maxlength": 200}),
            error_messages={"required": "Say why, so that the next person understands."},
        )

    def clean(self) -> dict[str, Any]:
        """Parse every field that was sent; what was not sent is not changed."""
        for name in FIELDS:
            if self.fields[name].disabled or name not in self.data or name in self.errors:
                continue
            try:
                self.parsed[name] = parse(name, self.cleaned_data.get(name, ""))
            except BadPolicy as error:
                self.add_error(name, error.problems[name])
        return self.cleaned_data

    def changes(self, base: Policy) -> dict[str, Any]:
        """Return what differs from the version that the person saw."""
        return {name: value for name, value in self.parsed.items() if value != getattr(base, name)}


def _text_field(field: PolicyField, *, initial: str, disabled: bool) -> forms.Field:
    who = "Operators may change it." if field.daily else "Administrators only."
    empty = f" Empty: {field.empty}." if field.empty else ""
    common: dict[str, Any] = {
        "label": f"{field.label}, {field.unit}",
        # What the history and `set_policy` call it stands last.
        "help_text": f"{field.meaning}{empty} {who} <code>{field.name}</code>",
        "initial": initial,
        "disabled": disabled,
        "required": False,
    }
    if field.unit is Unit.SWITCH:
        return forms.ChoiceField(choices=[("true", "On"), ("false", "Off")], **common)
    if field.unit is Unit.ASSETS:
        return forms.CharField(widget=forms.Textarea(attrs={**_OFF, "rows": 2}), **common)
    return forms.CharField(
        widget=forms.TextInput(attrs={**_OFF, "inputmode": "decimal", "maxlength": 80}), **common
    )
