"""Read the forms that take an API key; what is secret is never put into a page again."""

from typing import Any

from django import forms

from positions.exchanges.profiles import profile_of
from positions.exchanges.profiles.keys import GUIDES
from positions.models import Environment
from positions.models.accounts import EXCHANGE_NAMES
from positions.services.accounts import NewAccount, base_url_of, sandboxes
from positions.services.credentials import Credentials

_OFF = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


def _secret(label: str, sentence: str, **more: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        widget=forms.PasswordInput(attrs=_OFF, render_value=False),
        error_messages={"required": sentence},
        **more,
    )


class KeyForm(forms.Form):
    """The three texts that sign requests."""

    api_key = _secret("API key", "Enter the API key.")
    api_secret = _secret("API secret", "Enter the API secret.")
    passphrase = _secret(
        "Passphrase",
        "Enter the passphrase.",
        required=False,
        help_text="Only "
        + " and ".join(
            EXCHANGE_NAMES[exchange] for exchange, guide in GUIDES.items() if guide.has_passphrase
        )
        + " ask for one. Leave it empty for every other exchange.",
    )

    def credentials(self) -> Credentials:
        """Return what was entered; call it on a valid form."""
        return Credentials(
            api_key=self.cleaned_data["api_key"],
            api_secret=self.cleaned_data["api_secret"],
            passphrase=self.cleaned_data.get("passphrase", ""),
        )


class NewKeyForm(KeyForm):
    """A key that takes another one's place."""

    moves = forms.BooleanField(
        label="The new key is meant to open another account at the exchange", required=False
    )

    def __init__(self, *args: Any, has_passphrase: bool, **kwargs: Any) -> None:
        """Ask for a passphrase only where the exchange has one."""
        super().__init__(*args, **kwargs)
        if not has_passphrase:
            del self.fields["passphrase"]


class ConnectForm(KeyForm):
    """Everything that a person enters to connect an account."""

    exchange = forms.ChoiceField(
        label="Exchange",
        help_text="Orders are verified at "
        + ", ".join(
            EXCHANGE_NAMES[exchange] for exchange in GUIDES if profile_of(exchange).orders_verified
        )
        + ". Every other exchange is connected with the command add_account.",
        choices=[
            ("", "Choose an exchange"),
            *((exchange, EXCHANGE_NAMES[exchange]) for exchange in GUIDES),
        ],
        error_messages={"required": "Choose an exchange."},
    )
    environment = forms.ChoiceField(
        label="Environment",
        choices=[
            (Environment.SANDBOX.value, "Sandbox: an exchange on this machine"),
            (Environment.TESTNET.value, "Testnet: the exchange's own play money"),
            (Environment.LIVE.value, "Live: real money"),
        ],
        error_messages={"required": "Choose an environment."},
    )
    slug = forms.CharField(
        label="Name",
        help_text="It stands in addresses: lower-case letters, digits and hyphens.",
        widget=forms.TextInput(attrs={**_OFF, "maxlength": 60}),
        error_messages={"required": "Enter a name for the account."},
    )
    quote = forms.CharField(
        label="Quote",
        help_text="What dust is sold for: a cash asset such as USDT.",
        initial="USDT",
        widget=forms.TextInput(attrs={**_OFF, "maxlength": 20}),
        error_messages={"required": "Enter the quote, for example USDT."},
    )
    field_order = ["exchange", "environment", "slug", "quote", "api_key", "api_secret"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Say where a sandbox account can be connected at all."""
        super().__init__(*args, **kwargs)
        found = ", ".join(EXCHANGE_NAMES.get(exchange, exchange) for exchange in sandboxes())
        self.fields["environment"].help_text = (
            f"A sandbox account can be connected at: {found}."
            if found
            else "No sandbox account can be connected now: DUSTADMIN_EXCHANGE_BASE_URLS, which "
            "only the operator sets, names no address on this machine."
        )

    def new_account(self) -> NewAccount:
        """Return what was entered, with the operator's address; call it on a valid form."""
        exchange = self.cleaned_data["exchange"]
        return NewAccount(
            slug=self.cleaned_data["slug"],
            exchange=exchange,
            environment=self.cleaned_data["environment"],
            quote=self.cleaned_data["quote"].upper(),
            base_url=base_url_of(exchange),
        )
