"""Give the tests a state folder of their own, so that they never touch a running system's."""

import os
import tempfile
from pathlib import Path

from django.conf import settings

_state = Path(tempfile.mkdtemp(prefix="dust-admin-tests-"))
(_state / "static").mkdir()
# For the processes that tests start; this one's settings were read before any conftest.
os.environ["DUSTADMIN_STATE_DIR"] = str(_state)
settings.STATE_DIR = _state
settings.STATIC_ROOT = _state / "static"
settings.CACHES["default"]["LOCATION"] = _state / "cache"
# Files need not be collected, and hashing a test's password need not be slow.
settings.STORAGES["staticfiles"]["BACKEND"] = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
)
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
