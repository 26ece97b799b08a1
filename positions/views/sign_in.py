"""Close the door that allauth leaves open: nobody signs up by themselves."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignUp(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    """Let administrators create users; refuse everybody else's sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return that the sign-up page is closed."""
        return False
