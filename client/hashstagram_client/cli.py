"""The command `hashstagram`: a photo's hashtags on the terminal."""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.metadata import version

from hashstagram_client.client import HashtagClient
from hashstagram_client.errors import ClientError
from hashstagram_client.results import Recommendation

RETRIES = 3  # somebody is waiting; a server that is not there shall be reported in a second


def main(argv: Sequence[str] | None = None) -> int:
    """Print one photo's hashtags; exit 1 with one line on stderr when there are none to be had."""
    args = _parser().parse_args(argv)
    try:
        with HashtagClient(args.url, args.token, timeout=args.timeout, retries=RETRIES) as client:
            recommendation = client.recommend(args.photo, k=args.top, threshold=args.threshold)
    except ClientError as err:
        print(f"hashstagram: {err}", file=sys.stderr)
        return 1
    except OSError as err:
        print(f"hashstagram: {args.photo}: {err.strerror}", file=sys.stderr)
        return 1
    print(json.dumps(recommendation.to_json()) if args.json else table(recommendation))
    return 0


def table(recommendation: Recommendation) -> str:
    """One line a hashtag, best first: "#sunset  0.873"."""
    width = max((len(hashtag.tag) for hashtag in recommendation.hashtags), default=0) + 1
    return "\n".join(
        f"{'#' + hashtag.tag:<{width}}  {hashtag.score:.3f}" for hashtag in recommendation.hashtags
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="hashstagram", description="The hashtags that fit a photo best."
    )
    parser.add_argument("photo", help="an image file")
    parser.add_argument("-k", "--top", type=int, default=5, help="how many (default: %(default)s)")
    parser.add_argument("--threshold", type=float, help="leave out lower scores (0 to 1)")
    parser.add_argument("--json", action="store_true", help="print the server's answer as JSON")
    parser.add_argument("--url", help="the server (default: $HASHSTAGRAM_URL, or the local one)")
    parser.add_argument("--token", help="access token (default: $HASHSTAGRAM_TOKEN, or its keys)")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds (default: 30)")
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {version('hashstagram-client')}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
