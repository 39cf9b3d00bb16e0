"""The one error that a user can cause."""


class InputError(ValueError):
    """What was given cannot be used: one sentence that says what came, what fits and what to do.

    The page shows the message as it stands, so it holds no stack trace, no path and no markup.
    """
