#!/usr/bin/env python
"""Run Dust Admin's commands; a wrong configuration is one line and exit code 2."""

import os
import sys


def main() -> int:
    """Hand the command line to Django and return the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dustadmin.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        print(f"Configuration: {error}", file=sys.stderr)  # noqa: T201 - the only output here
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
