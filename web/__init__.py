"""The web page: from a photo to its hashtags in one gesture.

It asks TorchServe through hashstagram_client only, and finds it as every client does.

Run: python -m gunicorn --config web/gunicorn.conf.py 'web:create_app()'
"""

from pathlib import Path

from flask import Flask

from hashstagram_client import HashtagClient
from hashstagram_client.words import camel_case
from web import failures, page, policy
from web.assets import Assets
from web.feedback import Feedback

MAX_BODY = 20 * 1024 * 1024  # bytes, as config.properties has it
TIMEOUT = 30.0  # seconds for an answer, with all tries
RETRIES = 3


def create_app() -> Flask:
    """The application. Settings are environment variables.

    HASHSTAGRAM_WEB_FEEDBACK is a SQLite file for feedback, which is off without it;
    HASHSTAGRAM_WEB_TRUSTED_HOSTS a JSON list of the host names that the page is asked by, any
    where there is none.

    Raises:
        FileNotFoundError: the page has not been built.
    """
    app = Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY, MAX_FORM_MEMORY_SIZE=MAX_BODY, FEEDBACK=None)
    app.config.from_prefixed_env("HASHSTAGRAM_WEB")
    app.extensions["assets"] = Assets.load(Path(__file__).with_name("static"))
    # Photos come as small as the browser could make them, and go to this machine.
    app.extensions["client"] = HashtagClient(timeout=TIMEOUT, retries=RETRIES, shrink=False)
    feedback = app.config["FEEDBACK"]
    app.extensions["feedback"] = Feedback(Path(feedback)) if feedback else None
    camel_case("warm")  # reads its words now, not while somebody waits
    app.register_blueprint(page.blueprint)
    policy.enforce(app)
    failures.translate(app)
    return app
