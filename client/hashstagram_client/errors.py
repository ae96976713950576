"""The errors that HashtagClient and ManagementClient raise.

ClientError
├── ConnectionFailedError        no whole answer came: refused, reset or damaged at every try
│   └── DeadlineExceededError    the call's deadline passed first
├── PhotoDownloadError           the address that was given as a photo leads to none
├── ArchiveRefusedError          a .mar that is none, or that nobody vouches for
├── RolloutFailedError           another version was not rolled out, and the old one serves
├── RequestRefusedError          4xx: the photo or an option is at fault; the same call fails again
│   ├── InvalidOptionError       400: an option is out of its range, or there is no photo
│   ├── UnauthorizedError        401, 403: the token is missing, wrong or too old
│   ├── PhotoTooLargeError       413: too many bytes or pixels
│   ├── UnsupportedPhotoError    415: no image of a format that the server takes
│   ├── UndecodablePhotoError    422: the image is truncated, damaged or empty
│   └── RegistrationOffError     405: the server registers no models
└── ServerFailedError            5xx, or an answer that makes no sense: the server is at fault
    └── BusyError                429, 503: too much to do; `retry_after` says when to come back
"""


class ClientError(Exception):
    """Base of all errors of this package."""


class ConnectionFailedError(ClientError):
    """The server could not be reached, or its answer never came in whole.

    `transient` is false where another try cannot help, such as a certificate that is not trusted.
    """

    def __init__(self, message: str, *, transient: bool = True) -> None:
        super().__init__(message)
        self.transient = transient


class DeadlineExceededError(ConnectionFailedError):
    """No answer within the call's `timeout`."""


class PhotoDownloadError(ClientError):
    """The address that was given as a photo cannot be read; `transient` as above."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class ArchiveRefusedError(ClientError):
    """A .mar is no archive, or its hash does not stand in the SHA256SUMS beside it."""


class RolloutFailedError(ClientError):
    """Another version of a model was not rolled out; the one before serves on."""


class AnswerError(ClientError):
    """The server answered, but not with a result: `status` of HTTP, `kind` is the body's type."""

    def __init__(self, message: str, *, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class RequestRefusedError(AnswerError):
    """The server refuses the request (4xx); `kind` is its type, such as "InvalidImageError"."""


class InvalidOptionError(RequestRefusedError):
    """An option is out of its range, or there is no photo in the request (400)."""


class UnauthorizedError(RequestRefusedError):
    """The server wants a token, or another one (401, 403; TorchServe says 400)."""


class PhotoTooLargeError(RequestRefusedError):
    """The photo has more bytes or pixels than the server takes (413)."""


class UnsupportedPhotoError(RequestRefusedError):
    """The bytes are no image of a format that the server takes (415)."""


class UndecodablePhotoError(RequestRefusedError):
    """The image is truncated or damaged (422), or empty: then the server is not asked."""


class RegistrationOffError(RequestRefusedError):
    """The server registers and removes no models over HTTP (405); the message says what to do."""

    def __init__(self, *, status: int, kind: str) -> None:
        super().__init__(
            "This server registers no models while it runs. To allow it, write the line "
            "'enable_model_api=true' into operator.properties beside config.properties, and start "
            "the server again: 'make stop', then 'make serve' or 'make demo'.",
            status=status,
            kind=kind,
        )


class ServerFailedError(AnswerError):
    """The server failed (5xx), or answered what makes no sense."""


class BusyError(ServerFailedError):
    """The server has too much to do (429, 503); `retry_after` in seconds, where it said so."""

    def __init__(
        self, message: str, *, status: int, kind: str, retry_after: float | None = None
    ) -> None:
        super().__init__(message, status=status, kind=kind)
        self.retry_after = retry_after
