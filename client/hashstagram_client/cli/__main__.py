"""Run: python -m hashstagram_client.cli."""

import sys

from hashstagram_client.cli.command import main

sys.exit(main())
