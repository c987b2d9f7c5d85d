"""kas files: valid by kas's own schema, and what they come to, resolved without network."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema
import kas
import kconfiglib
import yaml

import bitbake

# What users put on the command line. The lock file comes along by itself.
COMBINATIONS = (
    "kas/qemu-arm64.yml",
    "kas/qemu-arm64-prebuilt.yml",
    "kas/qemu-arm64-mixed.yml",
    "kas/qemu-arm64.yml:kas/debug.yml",
    "kas/qemu-arm64.yml:kas/testimage.yml",
    "kas/qemu-arm64.yml:kas/readonly-rootfs.yml",
    "kas/qemu-arm64.yml:kas/small.yml",
    "kas/qemu-arm64.yml:kas/cve-check.yml",
    "kas/qemu-arm64.yml:kas/sstate-mirror.yml",
    "kas/qemu-arm64.yml:kas/rtos/cortex-m.yml",
    "kas/qemu-arm64.yml:kas/rtos/freertos.yml",
    "kas/qemu-arm64.yml:kas/rtos/uniproton.yml",
    "kas/release/scarthgap.yml:kas/rtos/zephyr.yml",
    "kas/release/scarthgap.yml:tests/yocto/lib/masked.yml",
    "kas/release/whinlatter.yml:kas/debug.yml",
    "kas/release/wrynose.yml:tests/yocto/lib/masked.yml",
    "kas/qemu-arm64.yml:kas/debug.yml:kas/testimage.yml:kas/readonly-rootfs.yml:kas/sstate-mirror.yml",
)
# Steps of kas that would clone.
NETWORK = "repo_setup_loop finish_setup_repos repos_checkout repos_apply_patches setup_environ write_bbconfig".split()


def schema(root):
    """Every kas file is one."""
    problems = []
    for path in sorted([*root.glob("kas/**/*.yml"), *root.glob("tests/yocto/lib/*.yml")]):
        try:
            jsonschema.validate(yaml.safe_load(path.read_text()), kas.CONFIGSCHEMA)
        except (yaml.YAMLError, jsonschema.ValidationError) as error:
            problems.append(f"{path.relative_to(root)}: {error}")
    return problems


def resolve(root):
    """Every combination resolves; repositories are pinned, our layers, distro and target exist."""
    problems = []
    for combination in COMBINATIONS:
        problems += [f"{combination}: {problem}" for problem in _resolve(root, combination)]
    return problems


PRODUCT = """header:
  version: 19
  includes:
    - repo: micrun
      file: kas/qemu-arm64.yml
distro: product
repos:
  product:
    layers:
      .:
  micrun:
    path: {root}
"""


def downstream(root):
    """A project that includes this one's file gets its layers, its image and its pins, and keeps its own distro."""
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as project:
        Path(project, "product.yml").write_text(PRODUCT.format(root=root))
        # The loop finds the repository of the file; it clones none that has only layers.
        skipped = [f"--skip={step}" for step in NETWORK if step != "repo_setup_loop"]
        command = [sys.executable, "-m", "kas", "dump", *skipped, "product.yml"]
        done = subprocess.run(command, cwd=project, env={**os.environ, "KAS_WORK_DIR": project}, capture_output=True, text=True, check=False)
        if done.returncode:
            return [done.stderr.strip()]
        config = yaml.safe_load(done.stdout)
        pinned = yaml.safe_load((root / "kas/qemu-arm64.lock.yml").read_text())["overrides"]
    expected = {"distro": "product", "target": "micrun-image", "overrides": pinned}
    problems = [f"{key} is {config.get(key)!r}, not {value!r}" for key, value in expected.items() if config.get(key) != value]
    if set(config["repos"]["micrun"]["layers"]) != {".", "meta-micrun"}:
        problems.append(f"the layers are {config['repos']['micrun']['layers']}")
    return problems


def _resolve(root, combination):
    with tempfile.TemporaryDirectory(prefix="micrun-yocto-") as work:
        command = [sys.executable, "-m", "kas", "dump", *(f"--skip={step}" for step in NETWORK), combination]
        done = subprocess.run(command, cwd=root, env={**os.environ, "KAS_WORK_DIR": work}, capture_output=True, text=True, check=False)
        if done.returncode:
            yield done.stderr.strip()
            return
        config = yaml.safe_load(done.stdout)
        lock = root / combination.split(":")[0].replace(".yml", ".lock.yml")
        pinned = yaml.safe_load(lock.read_text())["overrides"]["repos"]
        for name, repo in config["repos"].items():
            if repo.get("url") and not repo.get("commit"):
                if not pinned.get(name, {}).get("commit"):
                    yield f"the repository {name} is not pinned"
            if not repo.get("url"):
                for layer, state in (repo.get("layers") or {}).items():
                    if state != "disabled" and not (root / layer / "conf/layer.conf").is_file():
                        yield f"there is no layer {layer} in this repository"
        distro = f"conf/distro/{config['distro']}.conf"
        if not any((root / layer / distro).is_file() for layer in config["repos"]["micrun"]["layers"]):
            yield f"there is no distro {config['distro']}"
        targets = config.get("target") or []
        for target in [targets] if isinstance(targets, str) else targets:
            if not list(root.glob(f"meta-micrun/recipes-*/images/{target}.bb")):
                yield f"there is no image {target}"
        # What kas makes of it is a local.conf.
        local = Path(work) / "local.conf"
        local.write_text("\n".join(config.get("local_conf_header", {}).values()))
        try:
            bitbake.configuration(root, local)
        except bitbake.BadMetadata as error:
            yield f"local_conf_header: {error}"


def menu(root):
    """The menu parses, and what it can choose exists."""
    menu_file = kconfiglib.Kconfig(str(root / "Kconfig"), warn_to_stderr=False)
    problems = list(menu_file.warnings)
    for symbol in menu_file.unique_defined_syms:
        if symbol.name.startswith("KAS_INCLUDE_"):
            names = [default.str_value for default, _ in symbol.defaults]
            problems += [f"Kconfig: {symbol.name}: there is no {name}" for name in names if not (root / name).is_file()]
    return problems
