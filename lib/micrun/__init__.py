# SPDX-License-Identifier: Apache-2.0
"""What the classes of this layer do in Python. Knows nothing of bitbake, so it runs anywhere."""

# bitbake takes changes in these for changes of what calls them.
BBIMPORTS = ["bolt", "pack", "store", "unit"]
