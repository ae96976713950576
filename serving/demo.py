"""The thirty-second try: serve the archive, tag one photo, print the hashtags and what is next.

Run: python -m serving.demo [PHOTO]
"""

import argparse
import json
import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from hashstagram_client import ClientError, HashtagClient
from hashstagram_client.cli.output import table
from serving import server
from serving.front import Front
from serving.instance import RUN, StartError
from serving.sample_photo import save_sunset

SAMPLE = RUN / "sunset.jpg"
NEXT = """
{bundle} is served at {url} until `make stop`. {page}
Next:
  make demo PHOTO=my.jpg BUNDLE={bundle}
  .venv/bin/hashstagram {photo} --json
  curl -H "Authorization: Bearer $(.venv/bin/python -m serving.server key)" -T {photo} \\
       {url}/predictions/{model}
  .venv/bin/python -c {program}
"""
PROGRAM = """
from hashstagram_client import HashtagClient
print(HashtagClient().recommend({photo}).text)"""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 with five lines of `#tag  score` on stdout, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(description="Serve the archive and tag one photo.")
    parser.add_argument("photo", nargs="?", type=Path, help="default: a sunset drawn by code")
    parser.add_argument("--feedback", action="store_true", help="the page takes feedback")
    args = parser.parse_args(argv)
    photo = args.photo
    if photo and not photo.is_file():
        print(f"demo: there is no file {photo}", file=sys.stderr)
        return 1
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        served = server.start(feedback=args.feedback)
        tag(served, photo or save_sunset(SAMPLE))
        bundle = server.BUNDLE.read_text(encoding="utf-8").strip()
    except (StartError, ClientError, OSError) as err:
        print(f"demo: {err}", file=sys.stderr)
        return 1
    print(next_steps(served, bundle, str(photo or os.path.relpath(SAMPLE))), file=sys.stderr)
    return 0


def next_steps(served: server.Server, bundle: str, photo: str) -> str:
    """What to try now, as lines to paste into a shell."""
    web = server.web_address()
    return NEXT.format(
        page=f"The page: {web}" if web else "There is no page.",
        url=served.url if isinstance(served, Front) else served.inference,
        model=served.model,
        bundle=bundle,
        photo=shlex.quote(photo),
        program=shlex.quote(PROGRAM.format(photo=json.dumps(photo))),
    )


def tag(served: server.Server, photo: Path) -> None:
    """Print the photo's five hashtags, best first; past the front where that wants a key."""
    if isinstance(served, Front) and not served.keys:
        connection: tuple[str, str | None] = served.url, None
    else:
        instance = served.instances[0] if isinstance(served, Front) else served
        connection = instance.inference, instance.key("inference")
    with HashtagClient(*connection) as client:
        print(table(client.recommend(photo).hashtags))


if __name__ == "__main__":
    sys.exit(main())
