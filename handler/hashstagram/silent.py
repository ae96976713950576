"""Silent: OpenVINO without its telemetry, which would tell its makers of every import.

Whoever needs OpenVINO takes it from here.
"""

import sys
from typing import Any

# An import of it fails then, and OpenVINO goes on without. It must come before OpenVINO's own.
modules: dict[str, Any] = sys.modules
modules["openvino_telemetry"] = None

import openvino  # noqa: E402

__all__ = ["openvino"]
