"""Store amounts exactly, on every database.

SQLite keeps a `DecimalField` as a binary real: 99999999.99999999 came back as 100000000. So an
amount is stored as its canonical text, summed and compared in Python, and sorted in SQL by an
integer rank beside it (`rank_of`).
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models

from positions.domain.amounts import BadAmount, canonical, exact

# Micro-dollars in a 64-bit column: far above any account, and fine enough to sort dust.
_RANK_SCALE = Decimal(1_000_000)
_HIGHEST_RANK = 2**63 - 1


def rank_of(amount: Decimal | None) -> int | None:
    """Return the integer that sorts as the amount does; None, which sorts apart, for unknown."""
    return None if amount is None else min(int(amount * _RANK_SCALE), _HIGHEST_RANK)


if TYPE_CHECKING:
    _TextField = models.TextField[Any, Any]
else:  # Django's fields take type arguments in their stubs only
    _TextField = models.TextField


class ExactDecimalField(_TextField):
    """A `Decimal` kept as canonical decimal text; a float is refused."""

    description = "Exact decimal number"

    if TYPE_CHECKING:
        _pyi_private_set_type: Decimal | str  # type: ignore[assignment]  # a text column
        _pyi_private_get_type: Decimal  # type: ignore[assignment]

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Decimal | None:
        """Return the stored amount."""
        return None if value is None else Decimal(value)

    def to_python(self, value: Any) -> Decimal | None:
        """Return the amount of a text or a `Decimal`; raise `ValidationError` for anything else."""
        if value is None or isinstance(value, Decimal):
            return value
        if isinstance(value, float):
            raise ValidationError("A float is not an exact amount.")
        try:
            return exact(str(value))
        except BadAmount as error:
            raise ValidationError(str(error)) from None

    def get_prep_value(self, value: Any) -> str | None:
        """Return the canonical text; refuse floats and what is not finite."""
        amount = self.to_python(value)
        if amount is None:
            return None
        if not amount.is_finite():
            raise ValidationError("Only finite amounts can be stored.")
        return canonical(amount)

    def value_to_string(self, obj: models.Model) -> str:
        """Return the canonical text for serializers."""
        return self.get_prep_value(self.value_from_object(obj)) or ""

    def formfield(self, **kwargs: Any) -> Any:
        """Return no form field: amounts are entered through the product's own forms."""
        return None
