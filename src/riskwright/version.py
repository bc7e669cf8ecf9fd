"""Which release this is. By itself, so that nothing has to import the door to know it."""

__version__ = "0.1.0"
