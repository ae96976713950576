"""Policy: what browsers may do with our answers, and which pages may send us anything."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

# Workers from blob: addresses are how FilePond draws its little pictures; they are bound by the
# same policy. Nothing inline runs, neither script nor style.
CONTENT = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self' blob:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def enforce(app: Flask) -> None:
    """Refuse what other sites send, and put the headers on every answer."""
    app.before_request(refuse_other_sites)
    app.after_request(_with_headers)


def refuse_other_sites() -> None:
    """Let through what reads, and what our own page or the device's share menu sends.

    Raises:
        Forbidden: another site had the browser send this, or no browser sent it.
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site = request.headers.get("Sec-Fetch-Site")
    shared = request.path == "/share" and site == "none"
    # Browsers leave the header out where the connection is neither TLS nor to this machine.
    same = _is_own_origin() if site is None else site == "same-origin"
    if not (same or shared):
        abort(403, "Only this page itself may send that. Programs use the API.")


def _is_own_origin() -> bool:
    """Whether Origin names the host that was asked; its scheme may be a proxy's before us."""
    return urlsplit(request.headers.get("Origin", "")).netloc == request.host


def _with_headers(response: Response) -> Response:
    response.headers.extend(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response
