"""Sub-commands of ``wm``, one module each: an ``Args`` dataclass and ``main(args)``."""
