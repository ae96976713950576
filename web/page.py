"""The page's addresses. A photo is a whole body: no file name ever comes with it."""

import base64
import json

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from hashstagram_client import HashtagClient
from hashstagram_client.words import camel_case
from web.assets import Assets
from web.feedback import Feedback, Opinion
from web.preview import to_jpeg

CANDIDATES = 30  # hashtags of a photo: what is shown, and what takes the place of the dropped
A_YEAR, A_DAY = 31_536_000, 86_400  # seconds

blueprint = Blueprint("page", __name__)


def _assets() -> Assets:
    assets: Assets = current_app.extensions["assets"]
    return assets


def _client() -> HashtagClient:
    client: HashtagClient = current_app.extensions["client"]
    return client


def _feedback() -> Feedback | None:
    feedback: Feedback | None = current_app.extensions["feedback"]
    return feedback


def _photo() -> bytes:
    return request.get_data(cache=False) or abort(400, "There is no photo in the request.")


@blueprint.get("/")
def show() -> str:
    """The page itself."""
    return render_template("page.html", assets=_assets(), feedback=_feedback() is not None)


@blueprint.get("/static/<path:name>")
def static(name: str) -> Response:
    """A built file; nginx, where it runs, serves these itself."""
    answer = send_from_directory(_assets().folder, name)
    age = A_YEAR if name.startswith("assets/") else A_DAY
    answer.headers["Cache-Control"] = f"public, max-age={age}"
    return answer


@blueprint.get("/manifest.webmanifest")
def manifest() -> Response:
    """What a device needs to know to install the page."""
    answer = make_response(render_template("manifest.json"))
    answer.mimetype = "application/manifest+json"
    return answer


@blueprint.get("/service-worker.js")
def service_worker() -> Response:
    """The service worker; its place at the root lets it see to the whole page."""
    answer = make_response(render_template("service-worker.js", assets=_assets()))
    answer.mimetype = "text/javascript"
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@blueprint.post("/share")
def share() -> AnyResponse:
    """A shared photo that no service worker took: it is gone, and the page says so."""
    return redirect(url_for("page.show", shared="lost"), 303)


@blueprint.post("/page/hashtags")
def hashtags() -> Response:
    """A photo's best hashtags, more of them than are shown at first."""
    found = _client().recommend(_photo(), k=CANDIDATES)
    written = [
        {"tag": h.tag, "score": h.score, "text": f"#{camel_case(h.tag)}"} for h in found.hashtags
    ]
    return jsonify(found.to_json() | {"hashtags": written})


@blueprint.post("/page/explanations")
def explanations() -> Response:
    """Where in a photo one of its hashtags, ?tag=, was seen: the PNG in base64, or null."""
    tag = request.args.get("tag") or abort(400, "Say which hashtag: ?tag=")
    why = _client().explain(_photo(), k=1, include=[tag])
    heat_map = why.hashtags[0].heat_map if why.hashtags else None
    return jsonify(tag=tag, heat_map=base64.b64encode(heat_map).decode() if heat_map else None)


@blueprint.post("/page/preview")
def preview() -> Response:
    """The photo in a form that every browser shows."""
    return Response(to_jpeg(_photo()), mimetype="image/jpeg")


@blueprint.post("/page/feedback")
def feedback() -> Response:
    """An opinion in the field `opinion`; the file `photo` only where its owner allows that."""
    store = _feedback() or abort(404, "Feedback is switched off here.")
    try:
        opinion = Opinion.from_json(json.loads(request.form.get("opinion", "")))
    except ValueError as err:
        abort(400, f"This is not in form: {err}")
    photo = request.files.get("photo")
    store.add(opinion, to_jpeg(photo.read()) if photo else None)
    return jsonify(thanks=True)
