"""The environment variables that a clone's commands see: those named here, and no others.

A stage runs code of the commit and of every package that it uses. Whatever is in its environment, it can read
and send away, so nothing is passed on because nobody has thought of it.
"""

from __future__ import annotations

import ctypes
import os
import sys

from perenne.common.errors import PerenneError
from perenne.compute import settings

# What a machine needs to run a program, in any language and on any network. A password that stands in the
# address of a proxy is seen by the stages.
STAGES = (
    *("HOME", "USER", "LOGNAME", "SHELL", "TERM", "PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CI"),
    *("TMPDIR", "TEMP", "TMP", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    *("TZ", "LANG", "LANGUAGE", "LC_*", "NO_COLOR", "DO_NOT_TRACK"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    # How many threads there are, and which instructions they use: the bytes must not depend on it.
    *("OMP_*", "GOMP_*", "KMP_*", "MKL_*", "OPENBLAS_*", "BLIS_*", "NUMEXPR_*", "NPY_*", "MALLOC_*"),
    *("VECLIB_MAXIMUM_THREADS", "LOKY_MAX_CPU_COUNT", "CUDA_VISIBLE_DEVICES", "PYTHONHASHSEED"),
    # Where DVC and Git find the settings of the machine. Their site-wide caches are private to each clone.
    *("DVC_NO_ANALYTICS", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"),
    *("GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"),
)

# What storage needs, while DVC pulls inputs or pushes results and no stage runs.
STORAGE = (
    *("AWS_*", "BOTO_CONFIG", "GOOGLE_*", "CLOUDSDK_*", "GDRIVE_*", "AZURE_*", "OSS_*", "HADOOP_*"),
    *("SSH_AUTH_SOCK", "KRB5CCNAME"),
)

# What the commit's own environment is made with: where packages are, and where they are kept.
PACKAGES = ("PIP_*", "UV_*", "NETRC")
# These would make it of, or into, the environment that is in use here.
NOT_PACKAGES = ("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT", "PIP_TARGET", "PIP_PREFIX")

MORE = "PERENNE_STAGE_VARIABLES"
"""The variable that names more of them for stages: what a source needs to reach its data, for example."""

PR_SET_DUMPABLE = 4


def stages() -> dict[str, str]:
    """Return the variables that stages see.

    Raises
    ------
    PerenneError
        If `PERENNE_STAGE_VARIABLES` holds anything but names.

    """
    more = os.environ.get(MORE, "").replace(",", " ").split()
    for name in more:
        if not name.isidentifier():
            raise PerenneError(f"{MORE}: {name!r:.60} is not the name of a variable; such as 'A B'")
    # No worker of a cluster lies in the folder of a clone; and no commit may choose whom a clone speaks to.
    return _chosen(*STAGES, *more) | {settings.VARIABLE: settings.LOCAL}


def storage() -> dict[str, str]:
    """Return the variables that DVC needs to reach a remote."""
    return _chosen(*STORAGE)


def packages() -> dict[str, str]:
    """Return the variables that the commit's own environment is made with."""
    return {name: value for name, value in _chosen(*PACKAGES).items() if name not in NOT_PACKAGES}


def _chosen(*names: str) -> dict[str, str]:
    """The variables of this process with some names; one that ends in * stands for all that begin so."""
    whole = {name for name in names if not name.endswith("*")}
    starts = tuple(name.removesuffix("*") for name in names if name.endswith("*"))
    return {name: value for name, value in os.environ.items() if name in whole or name.startswith(starts)}


def hide() -> None:
    """Let no other process of this user read the variables or the memory of this one, where Linux can do so.

    A stage knows the number of the process that started it. This does not stop an administrator, nor does it
    protect the processes that started this one: secrets belong into a job that runs no stage.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
