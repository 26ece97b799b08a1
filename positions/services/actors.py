"""Name who does something: a signed-in person, a bot, or a part of the product."""

from dataclasses import dataclass

from django.contrib.auth.models import User

from positions.models import BotToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts; the name is kept with the event, so that it outlives the user."""

    name: str
    user: User | None = None
    token: BotToken | None = None

    @classmethod
    def person(cls, user: User) -> "Actor":
        """Return the actor for a signed-in person."""
        return cls(name=user.get_username(), user=user)

    @classmethod
    def bot(cls, token: BotToken) -> "Actor":
        """Return the actor for a bot that came in with this token."""
        return cls(name=token.bot, token=token)

    @classmethod
    def service(cls, name: str) -> "Actor":
        """Return the actor for a part of the product, such as the scheduler."""
        return cls(name=name)
