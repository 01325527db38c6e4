"""``python -m allocator_pipeline.cli``."""

import sys

from allocator_pipeline.cli.registry import main

if __name__ == "__main__":
    sys.exit(main())
