"""What a project begins with: the files in `template/`, as a wheel of the library has them, filled in.

Each file of the template has `.tmpl` behind its name, so that neither Git nor DVC nor Python takes it for one
of the folder that it lies in. So has its folder `.dvc`: by that, DVC would take the template for another
project, and see none of it. The template is read from the very wheel that the project will pin: both are of
one version, and a later one can be taken in without being installed.
"""

from __future__ import annotations

import re
import zipfile
from email.parser import BytesHeaderParser
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from perenne.common import strict_yaml
from perenne.common.errors import PerenneError
from perenne.common.names import REQUIREMENTS
from perenne.common.typed import Model

FOLDER = "perenne/new/template/"
SUFFIX = ".tmpl"
LOCK = "perenne/serving/requirements.txt"  # with all that a released model needs: the service, and S3
ANSWERS = Path(".perenne/answers.yaml")
PLACEHOLDER = re.compile(rb"%%(\w+)%%")


class Answers(Model):
    """What the template is filled in with: kept in the project, for `perenne upgrade`."""

    name: str
    about: str


class Template(NamedTuple):
    """The template of a version, and its wheel."""

    version: str
    wheel: str
    content: bytes
    files: dict[str, bytes]
    lock: bytes


def of_wheel(path: Path) -> Template:
    """Read the template of a wheel.

    Raises
    ------
    PerenneError
        If it is not a wheel of Perenne, or one of a version that had no template.

    """
    try:
        content = path.read_bytes()
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
            (about,) = [name for name in names if re.fullmatch(r"perenne-[^/]+\.dist-info/METADATA", name)]
            version = str(BytesHeaderParser().parsebytes(archive.read(about))["Version"])
            files = {
                name.removeprefix(FOLDER).replace(SUFFIX, ""): archive.read(name)
                for name in sorted(names)
                if name.startswith(FOLDER) and name.endswith(SUFFIX)
            }
            lock = archive.read(LOCK)
    except OSError as error:
        raise PerenneError(f"{path}: {error.strerror or error}; --wheel names a wheel of perenne") from None
    except (zipfile.BadZipFile, KeyError, ValueError):
        raise PerenneError(
            f"{path}: not a wheel of perenne, such as perenne-1.2.3-py3-none-any.whl"
        ) from None
    if not files:
        raise PerenneError(f"{path}: perenne {version} has no template of a project; use a later version")
    return Template(version, f"perenne-{version}-py3-none-any.whl", content, files, lock)


def filled(template: Template, answers: Answers) -> dict[str, bytes]:
    """The files of a project, by their paths in it.

    Raises
    ------
    PerenneError
        If a later version's template asks for what this version does not know.

    """
    values = {
        b"name": answers.name.encode(),
        b"about": answers.about.encode(),
        b"package": package(answers.name).encode(),
        b"wheel": template.wheel.encode(),
    }

    def value(match: re.Match[bytes]) -> bytes:
        if match[1] not in values:
            raise PerenneError(
                f"the template of perenne {template.version} needs that version: run this with it"
            )
        return values[match[1]]

    return {
        **{name: PLACEHOLDER.sub(value, text) for name, text in template.files.items()},
        str(REQUIREMENTS): _locked(template),
        f".perenne/{template.wheel}": template.content,
        str(ANSWERS): strict_yaml.dumps(answers.model_dump()).encode(),
    }


def package(name: str) -> str:
    """A name that a package may have.

    >>> package("Été 2024"), package("churn")
    ('t-2024', 'churn')
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"


def _locked(template: Template) -> bytes:
    """The library's lock and the wheel itself, as `make lock` writes them: by name, without reasons."""
    head, *rest = re.split(r"^(?=[a-z0-9])", template.lock.decode(), flags=re.MULTILINE)
    own = f"./.perenne/{template.wheel} \\\n    --hash=sha256:{sha256(template.content).hexdigest()}\n"
    pins = [(pin.split("==")[0], re.sub(r"^ *#.*\n", "", pin, flags=re.MULTILINE)) for pin in rest]
    return "".join([head, *(pin for _, pin in sorted([*pins, ("perenne", own)]))]).encode()
