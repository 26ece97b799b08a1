"""Write moments in UTC with seconds and 24 hours, as every page of the product does."""

DATETIME_FORMAT = r"Y-m-d H:i:s \U\T\C"
