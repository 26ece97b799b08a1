"""Encrypt an account's credentials at rest; they are decrypted only to sign a request.

Fernet (AES-128-CBC with HMAC-SHA256), newest key first: older keys still decrypt, so that keys can
be rotated. The fingerprint tells two accounts with the same key apart without showing the key.
"""

import hashlib
import json
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from positions.models import ExchangeAccount


class CredentialsUnreadable(Exception):
    """No configured key decrypts them; re-enter the key or restore the old one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What signs an account's requests. Its repr shows nothing."""

    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)


def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CREDENTIAL_KEYS])


def encrypted(credentials: Credentials) -> bytes:
    """Return the token to store."""
    text = json.dumps([credentials.api_key, credentials.api_secret, credentials.passphrase])
    return _cipher().encrypt(text.encode())


def decrypted(account: ExchangeAccount) -> Credentials:
    """Return the account's credentials; raise `CredentialsUnreadable` if no key fits."""
    try:
        text = _cipher().decrypt(bytes(account.credentials))
    except InvalidToken:
        raise CredentialsUnreadable(
            f"The credentials of {account.slug} can't be decrypted: the encryption key is missing. "
            "Restore DUSTADMIN_CREDENTIAL_KEYS or enter the API key anew."
        ) from None
    api_key, api_secret, passphrase = json.loads(text)
    return Credentials(api_key=api_key, api_secret=api_secret, passphrase=passphrase)


def fingerprint(api_key: str) -> str:
    """Return what stands for the key in locks, limits and uniqueness."""
    return hashlib.sha256(b"dust-admin:" + api_key.encode()).hexdigest()
