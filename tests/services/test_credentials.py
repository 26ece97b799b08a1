"""Credentials at rest, and what shows of them."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone

from positions.models import ExchangeAccount
from positions.services import credentials
from positions.services.credentials import Credentials, CredentialsUnreadable

SECRETS = Credentials(api_key="the-key", api_secret="the-secret", passphrase="the-phrase")


def kept(secrets: Credentials = SECRETS) -> ExchangeAccount:
    return ExchangeAccount.objects.create(
        slug="kept",
        exchange="binance",
        base_url="http://127.0.0.1:9",
        credentials=credentials.encrypted(secrets),
        key_fingerprint=credentials.fingerprint(secrets.api_key),
        created_at=timezone.now(),
    )


@pytest.mark.django_db
def test_what_is_stored_shows_no_secret_and_is_read_back_whole() -> None:
    kept()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM positions_exchangeaccount")
        stored = repr([bytes(v) if isinstance(v, memoryview) else v for v in cursor.fetchone()])
    for secret in ("the-key", "the-secret", "the-phrase"):
        assert secret not in stored
    assert credentials.decrypted(ExchangeAccount.objects.get()) == SECRETS


def test_a_repr_shows_nothing() -> None:
    for text in (repr(SECRETS), str(SECRETS), f"{SECRETS}", repr([SECRETS])):
        assert "the-" not in text


def test_the_same_credentials_are_never_encrypted_the_same_way_twice() -> None:
    assert credentials.encrypted(SECRETS) != credentials.encrypted(SECRETS)


def test_a_fingerprint_names_a_key_without_showing_it() -> None:
    found = credentials.fingerprint("the-key")
    assert found == credentials.fingerprint("the-key")
    assert found != credentials.fingerprint("the-key ")
    assert "the-key" not in found


@pytest.mark.django_db
def test_an_older_key_still_decrypts_after_a_rotation(settings: Any) -> None:
    account = kept()
    new = Fernet.generate_key().decode()
    settings.CREDENTIAL_KEYS = [new, *settings.CREDENTIAL_KEYS]
    assert credentials.decrypted(account) == SECRETS
    fresh = credentials.encrypted(SECRETS)
    assert Fernet(new).decrypt(fresh)


@pytest.mark.django_db
def test_without_its_key_an_account_is_unreadable_and_says_what_to_do(settings: Any) -> None:
    account = kept()
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(CredentialsUnreadable, match="DUSTADMIN_CREDENTIAL_KEYS") as unreadable:
        credentials.decrypted(account)
    assert unreadable.value.__cause__ is None


@pytest.mark.django_db
def test_credentials_that_were_changed_in_the_database_are_unreadable() -> None:
    account = kept()
    token = bytearray(account.credentials)
    token[20] ^= 1
    account.credentials = bytes(token)
    with pytest.raises(CredentialsUnreadable):
        credentials.decrypted(account)
