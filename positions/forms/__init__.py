"""Read what people typed into forms, one noun a file."""

from positions.forms.thresholds import asked_threshold

__all__ = ["asked_threshold"]
