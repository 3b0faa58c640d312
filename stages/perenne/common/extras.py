"""How to install an extra of the package: its name is not on any index, so pip needs the repository's URL."""


def install(extra: str) -> str:
    """The ways to install an extra, as the end of a sentence.

    >>> install("serve")
    "make dev installs it, and so does pip install 'perenne[serve] @ git+REPOSITORY_URL@TAG'"
    """
    return f"make dev installs it, and so does pip install 'perenne[{extra}] @ git+REPOSITORY_URL@TAG'"
