"""The errors that HashtagClient raises.

ClientError
├── ConnectionFailedError    no answer: nothing listens there, or it took too long
├── RequestRefusedError      4xx: the photo or an option is at fault
│   └── UnauthorizedError    the token is missing, wrong or too old
└── ServerFailedError        5xx: the server is at fault or too busy
"""


class ClientError(Exception):
    """Base of all errors of this package."""


class ConnectionFailedError(ClientError):
    """The server could not be reached or did not answer in time."""


class _AnswerError(ClientError):
    def __init__(self, message: str, *, status: int, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


class RequestRefusedError(_AnswerError):
    """The server refuses the request (4xx); `kind` is its type, such as "InvalidImageError"."""


class UnauthorizedError(RequestRefusedError):
    """The server wants a token, or another one."""


class ServerFailedError(_AnswerError):
    """The server failed (5xx)."""
