"""Read the form that issues a token to a bot."""

from datetime import timedelta

from django import forms

from positions.models import ExchangeAccount, Scope
from positions.models.bots import LONGEST_BOT

MOST_DAYS = 365
_DAYS = f"Enter a whole number of days from 1 to {MOST_DAYS}."


class _Boxes(forms.CheckboxSelectMultiple):
    """Check boxes of which a summary of errors can name the first."""

    def id_for_label(self, id_: str, index: str | None = None) -> str:
        """Return the first box's id for the whole group."""
        return super().id_for_label(id_, index or "0")


class TokenForm(forms.Form):
    """Everything that a person enters to let a bot in."""

    bot = forms.CharField(
        label="Bot",
        help_text="What it holds belongs to this name: give its next token the same one.",
        max_length=LONGEST_BOT,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={
            "required": "Name the bot.",
            "max_length": f"Name the bot in at most {LONGEST_BOT} characters.",
        },
    )
    accounts = forms.ModelMultipleChoiceField(
        label="Accounts",
        queryset=ExchangeAccount.objects.order_by("slug"),
        widget=_Boxes,
        error_messages={
            "required": "Choose at least one account.",
            "invalid_choice": "Choose accounts of this list.",
            "invalid_pk_value": "Choose accounts of this list.",
        },
    )
    scopes = forms.MultipleChoiceField(
        label="The bot may",
        choices=Scope.choices,
        initial=[Scope.READ.value],
        widget=_Boxes,
        error_messages={
            "required": "Choose what the bot may do.",
            "invalid_choice": "Choose rights of this list.",
        },
    )
    days = forms.IntegerField(
        label="Expires after, days",
        initial=90,
        min_value=1,
        max_value=MOST_DAYS,
        widget=forms.NumberInput(attrs={"autocomplete": "off"}),
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), _DAYS),
    )

    def granted(self) -> list[Scope]:
        """Return what the bot may do; call it on a valid form."""
        return [Scope(value) for value in self.cleaned_data["scopes"]]

    def lifetime(self) -> timedelta:
        """Return how long the token opens something; call it on a valid form."""
        return timedelta(days=self.cleaned_data["days"])
