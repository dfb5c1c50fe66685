"""Exported models in the formats of others, one a module; `conversion.convert` writes any of them."""
