"""Spool: the folder where the front leaves large bodies, so that TorchServe copies none.

nginx writes them to files, sends a file's path in the body's place, and removes the file when it
has answered, or when the caller has left.
"""

import os
import re
from pathlib import Path

from hashstagram.errors import AbandonedError, InvalidRequestError

FOLDER = "HASHSTAGRAM_SPOOL"  # environment variable; where it is not set, nobody's paths count
_NAME = re.compile(r"[0-9]{1,20}")  # nginx counts its files


def read_body(path: str) -> bytes:
    """The body that lies in the spool under the path's last part, whatever the rest of it says.

    Raises:
        AbandonedError: it is no longer there.
        InvalidRequestError: no path of nginx's, or there is no spool.
    """
    folder, name = os.environ.get(FOLDER), os.path.basename(path)
    if not folder or not _NAME.fullmatch(name):
        raise InvalidRequestError("X-Body-File is for the front alone.")
    try:
        return Path(folder, name).read_bytes()
    except FileNotFoundError as err:
        raise AbandonedError("The caller did not wait for the answer.") from err
