"""hashstagram explain PHOTO: where in a photo a hashtag was seen."""

import json
from io import BytesIO
from pathlib import Path

import click

from hashstagram_client.cli.options import json_option, server_options, top_option
from hashstagram_client.cli.output import show_hashtags, show_rows
from hashstagram_client.client import HashtagClient
from hashstagram_client.results import ExplainedHashtag, Explanation


@click.command("explain")
@click.argument("photo", type=click.Path())
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where the photo with its heat map goes: a .png or .jpg file.",
)
@click.option("--tag", help="Whose heat map; else the best hashtag's that has one.")
@top_option
@json_option
@server_options
def command(
    photo: str,
    output: Path | None,
    tag: str | None,
    top: int,
    as_json: bool,
    url: str | None,
    token: str | None,
    timeout: float,
) -> None:
    """Where in a photo its hashtags were seen, and which training photos look alike.

    The heat map is yellow to red where the network saw what speaks for the hashtag.
    """
    if output:
        _check_output(output)
    with HashtagClient(url, token, timeout=timeout) as client:
        explanation = client.explain(photo, k=min(top, 10))
    chosen = _chosen(explanation, tag) if output or tag else None
    if output and chosen:
        overlay(photo, chosen.heat_map or b"", output)
    if as_json:
        click.echo(json.dumps(_body(explanation)))
        return
    show_hashtags(explanation.hashtags)
    neighbours = [(n.id, f"{n.similarity:.3f}") for n in explanation.neighbours]
    if neighbours:
        show_rows(("training photo", "alike"), neighbours)
    if output and chosen:
        click.echo(f"#{chosen.tag}: {output}", err=True)


def overlay(photo: str, heat_map: bytes, output: Path) -> None:
    """The heat map stretched over the photo, upright.

    Raises:
        OSError: the photo cannot be read by Pillow, or the file not written.
    """
    from PIL import Image, ImageOps

    with Image.open(photo) as image, Image.open(BytesIO(heat_map)) as heat:
        upright = ImageOps.exif_transpose(image).convert("RGBA")
        stretched = heat.convert("RGBA").resize(upright.size, Image.Resampling.BICUBIC)
        Image.alpha_composite(upright, stretched).convert("RGB").save(output)


def _check_output(output: Path) -> None:
    try:
        from PIL import Image
    except ImportError as err:
        raise click.UsageError("-o needs Pillow: pip install pillow") from err
    if output.suffix.lower() not in Image.registered_extensions():
        raise click.UsageError(f"{output}: give it a name that ends in .png or .jpg")


def _chosen(explanation: Explanation, tag: str | None) -> ExplainedHashtag:
    wanted = tag.removeprefix("#").casefold() if tag else None
    for hashtag in explanation.hashtags:
        if hashtag.heat_map and wanted in (None, hashtag.tag.casefold()):
            return hashtag
    which = f"#{wanted} is not among its hashtags with" if wanted else "none of its hashtags has"
    raise click.ClickException(f"{which} a heat map")


def _body(explanation: Explanation) -> dict[str, object]:
    """Without the heat maps, which are no text."""
    return {
        "model": explanation.model,
        "version": explanation.version,
        "request_id": explanation.request_id,
        "hashtags": [{"tag": h.tag, "score": h.score} for h in explanation.hashtags],
        "neighbours": [{"id": n.id, "similarity": n.similarity} for n in explanation.neighbours],
    }
