"""How micrun-image.bbclass packs: the words of its command line, and firmware of another multiconfig."""

import importlib

import bitbake
import metadata

FREERTOS = "dynamic-layers/meta-freertos/recipes-containers/micrun-freertos/micrun-freertos-armv5_1.bb"
ZEPHYR = "dynamic-layers/zephyrcore/recipes-containers/micrun-zephyr/micrun-zephyr-helloworld_1.bb"
VALUES = {
    "MICRUN_FIRMWARE": " /sysroot/*.elf ",
    "MICRUN_TAG": "localhost/motor:1",
    "MICRUN_CLIENT_CONF": "/work/a file.conf",
    "MICRUN_ANNOTATIONS": "a.b=* 'c.d=two  words' e=$HOME",
    "MICRUN_LABELS": "f=`id`;g",
}
WORDS = [
    "micrun-image-builder", "pack", "/sysroot/*.elf", "--output", "out.tar", "--tag", "localhost/motor:1",
    "--client-conf", "/work/a file.conf", "--annotation", "a.b=*", "--annotation", "c.d=two  words", "--annotation", "e=$HOME",
    "--label", "f=`id`;g",
]  # fmt: skip


def packed(root):
    """Values get to the builder as they are; the task waits for the multiconfig, or the recipe says why it is left out."""
    bitbake.datastore(root)
    pack = importlib.import_module("micrun.pack")
    found = pack.command(VALUES.get, "out.tar")
    problems = [] if found == WORDS else [f"the command line is {found}"]
    for make in (
        lambda: pack.command({**VALUES, "MICRUN_LABELS": "a='b"}.get, "out.tar"),
        lambda: pack.multiconfig({"MICRUN_FIRMWARE_MC": "rtos", "BBMULTICONFIG": "rtos"}.get),
    ):
        try:
            problems.append(f"{make()} was taken")
        except pack.PackError:
            pass
    for recipe, expected in (
        (ZEPHYR, "mc::micrun-zephyr:zephyr-helloworld:do_deploy"),
        (FREERTOS, "mc::micrun-freertos:freertos-demo:do_image_complete"),
    ):
        data = bitbake.recipe(root, root / recipe, BB_CURRENT_MC="default")[""]
        depends = (data.getVarFlag("do_pack", "mcdepends") or "").split()
        if depends != [expected]:
            problems.append(f"the task depends on {depends}, not on {expected}")
    for variables, reason in (
        ({"BBMULTICONFIG": "other"}, "does not name micrun-zephyr"),
        ({"BBMULTICONFIG": "micrun-zephyr", "BB_CURRENT_MC": "micrun-zephyr"}, "made for Linux"),
    ):
        try:
            bitbake.recipe(root, root / ZEPHYR, **variables)
            problems.append(f"with {variables}, the recipe is not left out")
        except bitbake.BadMetadata as error:
            if reason not in str(error):
                problems.append(f"with {variables}, the reason is: {error}")
    return problems


def _multiconfigs(root):
    return [*root.glob("conf/multiconfig/*.conf"), *root.glob("meta-micrun-rtos/conf/multiconfig/*.conf")]


def multiconfigs(root):
    """The firmware of another multiconfig lies where that one deploys it, and a kas file builds both."""
    problems, named = [], set()
    for path, data in metadata.parsed(root):
        name = data.getVar("MICRUN_FIRMWARE_MC")
        if not name:
            continue
        named.add(name)
        other = bitbake.configuration(root, *[path for path in _multiconfigs(root) if path.stem == name])
        place = other.expand("${TMPDIR}/deploy/images/${MACHINE}/")
        if not data.getVar("MICRUN_FIRMWARE").startswith(place):
            problems.append(f"{path}: MICRUN_FIRMWARE is not below {place}")
        asked = f'BBMULTICONFIG = "{name}"\n    CORE_IMAGE_EXTRA_INSTALL += "{data.getVar("PN")}"\n'
        if not any(asked in file.read_text() for file in root.glob("kas/rtos/*.yml")):
            problems.append(f"{path}: no file of kas/rtos says {asked}")
    return problems + [f"{path.name}: no recipe names it" for path in _multiconfigs(root) if path.stem not in named]
