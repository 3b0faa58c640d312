"""What the loop has to say, as people read it."""

from __future__ import annotations

from typing import Any

Found = dict[str, Any]


def headline(found: Found) -> str:
    """The decision in a line, and what has to be waited for."""
    champion = found["champion"]
    about = f"{champion['version']}, which knows {found['case']} up to {champion['as_of']}"
    told = f"{found['answer']}: {'; '.join(found['reasons'])} ({about})"
    if found["wait_for"]:
        told += f"\ntoo early to retrain: {found['wait_for']} is the first as_of to learn and to be judged by"
    return told
