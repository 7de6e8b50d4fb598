"""Lets ``python -m linnet`` be the command."""

import sys

from linnet.apps import main

sys.exit(main())
