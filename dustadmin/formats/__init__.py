"""How dates are written, per language; Django reads `formats` modules from here."""
