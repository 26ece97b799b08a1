"""Name the person behind a request."""

from django.contrib.auth.models import User
from django.http import HttpRequest

from positions.services.actors import Actor


def actor_of(request: HttpRequest) -> Actor:
    """Return the signed-in person; raise `TypeError` for a request without one."""
    user = request.user
    if not isinstance(user, User):
        raise TypeError("Only signed-in people act through pages.")
    return Actor.person(user)
