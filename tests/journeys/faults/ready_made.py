"""What a worker imports before it reads a setting.

Workers are forked from a process that has these modules, so that a test waits for what a worker
does and not for its imports. Settings are read, and connections made, after the fork.
"""

import celery.apps.beat
import celery.apps.worker
import celery.bin.celery
import celery.concurrency.thread
import cryptography.fernet
import django.contrib.admin
import django.db.backends.postgresql.base
import django.db.backends.sqlite3.base
import kombu.transport.redis

import positions.exchanges.ccxt_adapter

__all__ = ["celery", "cryptography", "django", "kombu", "positions"]
