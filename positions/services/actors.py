"""Name who does something: a signed-in person, or a part of the product."""

from dataclasses import dataclass

from django.contrib.auth.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts; the name is kept with the event, so that it outlives the user."""

    name: str
    user: User | None = None

    @classmethod
    def person(cls, user: User) -> "Actor":
        """Return the actor for a signed-in person."""
        return cls(name=user.get_username(), user=user)

    @classmethod
    def service(cls, name: str) -> "Actor":
        """Return the actor for a part of the product, such as the scheduler."""
        return cls(name=name)
