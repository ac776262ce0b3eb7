"""What goes wrong with a backbone's files."""


class BackboneError(RuntimeError):
    """A backbone cannot be had or does not make sense; the message says what was found and what to do."""
