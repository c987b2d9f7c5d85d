"""How micrun-image.bbclass packs: the words of its command line, and firmware of another multiconfig."""

import importlib

import bitbake

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
    data = bitbake.recipe(root, root / ZEPHYR, BBMULTICONFIG="other micrun-zephyr", BB_CURRENT_MC="default")[""]
    depends = (data.getVarFlag("do_pack", "mcdepends") or "").split()
    if depends != ["mc::micrun-zephyr:zephyr-helloworld:do_deploy"]:
        problems.append(f"the task depends on {depends}")
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
