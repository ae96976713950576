"""A photo and its options to the one request that carries both."""

from collections.abc import Mapping

from urllib3.filepost import encode_multipart_formdata

from hashstagram_client.transport import Request

HEADERS = {
    "k": "X-Top-K",
    "threshold": "X-Threshold",
    "exclude": "X-Exclude",
    "include": "X-Include",
}


def post(path: str, photo: bytes, options: Mapping[str, str]) -> Request:
    """The photo as the body and options as headers; as a form where a header cannot hold them."""
    if all(value.isascii() and value.isprintable() for value in options.values()):
        headers = {HEADERS[name]: value for name, value in options.items()}
        return Request("POST", path, photo, {"Content-Type": "application/octet-stream", **headers})
    body, content_type = encode_multipart_formdata({"image": ("photo", photo), **options})
    return Request("POST", path, body, {"Content-Type": content_type})
