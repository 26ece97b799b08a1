"""Name static files by their content once they are collected, and plainly before that."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class CollectedOrPlain(CompressedManifestStaticFilesStorage):
    """Serve hashed, compressed files after `collectstatic`; without it (tests, a plain checkout)
    pages name the files as they are, and WhiteNoise finds them in the applications.
    """

    manifest_strict = False

    def stored_name(self, name: str) -> str:
        """Return the file's hashed name, or its own if nothing was collected."""
        return str(super().stored_name(name)) if self.hashed_files else name
