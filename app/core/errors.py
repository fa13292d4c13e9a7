"""What can go wrong when a provider is asked for something, in the words the engine acts on.

Adapters translate every answer and every broken wire into exactly one of these; nothing else decides about retries.
"""


class ProviderError(Exception):
    """`sentence` is for a person; `code` is the provider's own, as text. `after` is in seconds, where the provider said when to
    ask again."""

    after: float | None = None

    def __init__(self, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


class Temporary(ProviderError):
    """Surely nothing happened (refused before the effect, host not reached); trying again is safe."""


class Ambiguous(ProviderError):
    """The effect may have happened and the answer is lost. `settled` means the provider is done with the request
    (it answered 5xx or closed the wire); after a time-out or a crash the request may still be under way."""

    def __init__(self, sentence: str, code: str = "", *, settled: bool) -> None:
        super().__init__(sentence, code)
        self.settled = settled


class RateLimited(ProviderError):
    """Refused for speed."""

    def __init__(self, sentence: str, code: str = "", *, after: float | None = None) -> None:
        super().__init__(sentence, code)
        self.after = after


class Permanent(ProviderError):
    """Refused; it is not tried again by itself. `retry_helps` lets a person try again once the cause is mended."""

    def __init__(self, sentence: str, code: str = "", *, retry_helps: bool = False) -> None:
        super().__init__(sentence, code)
        self.retry_helps = retry_helps


class NeedsReconnect(ProviderError):
    """The credentials are refused; only a person can mend it. Work waits meanwhile."""


class NotFound(Exception):
    """There is no such thing for this person; shown as 404."""


class Invalid(Exception):
    """Bad input: a sentence for each field, shown next to it with a 422. Key "" is for the form as a whole."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("; ".join(fields.values()))
        self.fields = fields


class Forbidden(Exception):
    """The person is known but may not do this; the sentence says who may."""
