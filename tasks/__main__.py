"""``python -m tasks`` is the command ``bilevel``."""

import sys

from tasks.cli import main

sys.exit(main())
