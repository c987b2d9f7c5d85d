"""bitbake's own parser and fetcher, of the package bitbake-setup, without its server and without oe-core."""

import contextlib
import logging
import os
import sys
import tempfile
import types
from pathlib import Path

# The package leaves these out. The parser imports them for build servers that nobody starts here.
for _name in ("hashserv", "hashserv.client", "prserv"):
    sys.modules.setdefault(_name, types.ModuleType(_name))
sys.modules["hashserv"].client = sys.modules["hashserv.client"]

import bb  # pylint: disable=wrong-import-position
import bb.build
import bb.data
import bb.data_smart
import bb.event
import bb.fetch2
import bb.parse
import bb.siggen
import bb.utils

# Classes of oe-core that our recipes inherit. They are empty here: whether oe-core's own accept what the recipes say is
# not to be found out without it.
OE_CORE_CLASSES = (
    "allarch cargo core-image deploy image module native nativesdk nopackages packagegroup ptest systemd update-rc.d"
).split()


class _Log(logging.Handler):
    """Keeps what bitbake has to say, for the report of a failed parse."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


_LOG = _Log()
_LOGGER = logging.getLogger("BitBake")
_LOGGER.propagate = False
_LOGGER.addHandler(_LOG)

STUBS = tempfile.TemporaryDirectory(prefix="micrun-yocto-")
(Path(STUBS.name) / "classes").mkdir()
for _name in OE_CORE_CLASSES:
    (Path(STUBS.name) / "classes" / f"{_name}.bbclass").touch()


class BadMetadata(Exception):
    """bitbake did not accept a file; the text is bitbake's."""


def datastore(root, **variables):
    """A datastore as a recipe of the layers below root finds it."""
    data = bb.data.init()
    for key, value in variables.items():
        data.setVar(key, value)
    data.setVar("BBPATH", f"{root}:{root}/meta-micrun:{STUBS.name}")
    data.setVar("__bbclasstype", "recipe")
    # As layer.conf's addpylib.
    if str(root / "lib") not in sys.path:
        sys.path.insert(0, str(root / "lib"))
    _handle(Path(__file__).with_name("base.conf"), data, True)
    bb.parse.siggen = bb.siggen.init(data)
    return data


def layer(root, path):
    """The datastore after a layer's layer.conf."""
    data = datastore(root)
    data.setVar("LAYERDIR", str(path))
    _handle(path / "conf/layer.conf", data, True, baseconfig=True)
    data.expandVarref("LAYERDIR")
    return data


def configuration(root, path, **variables):
    """The datastore after a configuration file."""
    data = datastore(root, **variables)
    _handle(path, data, True)
    return data


def recipe(root, path, appends=(), **variables):
    """The datastore of a recipe, with appends, after its anonymous functions."""
    data = datastore(root, **variables)
    if appends:
        data.setVar("__BBAPPEND", " ".join(str(append) for append in appends))
    variants = _handle(path, data, False)
    skipped = variants[""].getVar("__SKIPPED")
    if skipped:
        raise BadMetadata(f"{path}: the recipe is skipped: {skipped}")
    return variants


def _handle(path, data, include, baseconfig=False):
    _LOG.lines.clear()
    try:
        with quiet():
            return bb.parse.handle(str(path), data, include, baseconfig)
    except Exception as error:  # pylint: disable=broad-except # whatever bitbake raises, the file is not good
        raise BadMetadata(f"{path}: {type(error).__name__}: {error}\n{said()}".rstrip()) from error


@contextlib.contextmanager
def quiet():
    """Nothing of what bitbake and its helpers print reaches the terminal: tracebacks, progress."""
    sys.stdout.flush()
    saved = [os.dup(1), os.dup(2)]
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, copy in enumerate(saved, 1):
            os.dup2(copy, number)
            os.close(copy)
        os.close(null)


def said():
    """bitbake's warnings and errors since the last parse."""
    return "\n".join(_LOG.lines)
