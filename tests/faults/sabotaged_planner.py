"""``python -m sabotaged_planner``: see :mod:`sabotage`."""

import sys

from sabotage import main

if __name__ == "__main__":
    sys.argv.insert(1, "planner")
    main()
