"""Assets: the built files of the page, whose names hold their hashes."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(".vite") / "manifest.json"  # vite's: which file each source became
ENTRY = "src/main.js"


@dataclass(frozen=True)
class Assets:
    """What the page loads.

    Args:
        folder: where the files are.
        script: path of the script, below the folder.
        styles: paths of the style sheets.
    """

    folder: Path
    script: str
    styles: tuple[str, ...]

    @classmethod
    def load(cls, folder: Path) -> "Assets":
        """Read what the build wrote.

        Raises:
            FileNotFoundError: nothing was built.
        """
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        entry = manifest[ENTRY]
        return cls(folder, entry["file"], tuple(entry["css"]))

    @property
    def shell(self) -> list[str]:
        """What a device keeps to show the page without a network."""
        return [self.script, *self.styles, "icons/icon-96.png"]

    @property
    def version(self) -> str:
        """Another one for another shell."""
        return hashlib.sha256(" ".join(self.shell).encode()).hexdigest()[:12]
