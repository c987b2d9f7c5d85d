# SPDX-License-Identifier: Apache-2.0
"""The command line of `micrun-image-builder pack` for the variables of micrun-image.bbclass."""

import shlex

# One value each, with all its blanks.
_ONE = {
    "MICRUN_TAG": "--tag",
    "MICRUN_COMPRESSION": "--compression",
    "MICRUN_CLIENT_CONF": "--client-conf",
    "MICRUN_ARCH": "--arch",
    "MICRUN_LOAD_ADDRESS": "--load-address",
    "MICRUN_PEDESTAL_CONF": "--pedestal-conf",
    "MICRUN_OS": "--os",
    "MICRUN_PEDESTAL": "--pedestal",
}
# Words, quoted as for a shell. There is no shell: globs and dollars are as they are.
_WORDS = {"MICRUN_ANNOTATIONS": "--annotation", "MICRUN_LABELS": "--label", "MICRUN_PLATFORMS": "--platform"}


class PackError(Exception):
    """Variables that no command line can be made of."""


def command(get, archive):
    """The words of the command that packs `archive`; `get` gives the value of a variable, or None."""
    words = ["micrun-image-builder", "pack", get("MICRUN_FIRMWARE").strip(), "--output", archive]
    for name, option in _ONE.items():
        value = (get(name) or "").strip()
        if value:
            words += [option, value]
    for name, option in _WORDS.items():
        try:
            values = shlex.split(get(name) or "")
        except ValueError as error:
            raise PackError(f"{name} is not quoted as for a shell: {error}") from error
        for value in values:
            words += [option, value]
    return words


def multiconfig(get):
    """What a task's mcdepends says of the recipe that deploys the firmware; None if there is none."""
    where, recipe = ((get(name) or "").strip() for name in ("MICRUN_FIRMWARE_MC", "MICRUN_FIRMWARE_RECIPE"))
    if not where and not recipe:
        return None
    if not where or not recipe:
        raise PackError("MICRUN_FIRMWARE_MC and MICRUN_FIRMWARE_RECIPE only have a meaning together")
    here = get("BB_CURRENT_MC") or ""
    if where == here:
        raise PackError(f"the image is made for Linux, not in the multiconfig {where} of its firmware")
    if where not in (get("BBMULTICONFIG") or "").split():
        raise PackError(f"BBMULTICONFIG does not name {where}, which is to build the firmware")
    task = (get("MICRUN_FIRMWARE_TASK") or "").strip() or "do_deploy"
    # The first one has no name in dependencies.
    return f"mc:{'' if here == 'default' else here}:{where}:{recipe}:{task}"
