# SPDX-License-Identifier: MIT
"""tests/system/outcome.py - how a QEMU run may end otherwise than it should."""


class Failed(Exception):
    """What ran did not do what it should; the message says where."""


class Broken(Exception):
    """The run itself could not be done; it says nothing about what was to be tested."""
