"""Documents: what one command writes and another reads, as frozen models with a schema number."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, ValidationError

from perenne.common import strict_json
from perenne.common.disk import canonical, write_json
from perenne.common.errors import PerenneError
from perenne.common.typed import Model, explained

# A number as a document holds it: 6 significant digits, and None for what is not finite. So a document that
# was just made equals the one that is read back.
Figure = Annotated[float | None, BeforeValidator(canonical)]
# The same for a number that must be finite.
Rounded = Annotated[float, BeforeValidator(canonical)]
# A number that is computed with before it is written: rounded in the file only, None for what is not finite.
Unrounded = Annotated[
    float | None, BeforeValidator(lambda value: None if canonical(value) is None else value)
]


class Document(Model):
    """A frozen model that is written as JSON, and read again by this version or a later one.

    `SCHEMA` is raised when a key is renamed, removed or changes its meaning. In the JSON it is `schema`.
    """

    SCHEMA: ClassVar[int]

    def to_json(self) -> dict[str, Any]:
        """The document in JSON's own types, with its schema number."""
        # Typed by the model above it: this is its JSON.
        content: dict[str, Any] = canonical(self.model_dump(mode="json", by_alias=True))
        return {"schema": self.SCHEMA} | content

    @classmethod
    def from_json(cls, content: object, name: str) -> Self:
        """Read what `to_json` returned; `name` is what an error calls it.

        Raises
        ------
        PerenneError
            Names the key, the value and what would be accepted; or the schema number, if it is another one.

        """
        if not isinstance(content, dict):
            raise PerenneError(f"{name}: expected a mapping, found {content!r:.60}")
        number = content.get("schema")
        if number != cls.SCHEMA:
            raise PerenneError(f"{name}: schema: found {number!r:.60}, this version reads {cls.SCHEMA}")
        fields = {key: value for key, value in content.items() if key != "schema"}
        try:
            return cls.model_validate_json(json.dumps(fields))
        except (ValidationError, ValueError, RecursionError) as error:
            raise PerenneError(explained(cls, error, name)) from error

    @classmethod
    def loads(cls, text: str | bytes, name: str) -> Self:
        """Read JSON text; a `PerenneError` says what is wrong in it."""
        return cls.from_json(strict_json.loads(text, name), name)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file; a `PerenneError` says what is wrong in it, or that there is none."""
        try:
            return cls.loads(path.read_bytes(), str(path))
        except FileNotFoundError as error:
            raise PerenneError(f"{path}: no such file") from error

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        write_json(path, self.to_json())


class UnnumberedDocument(Document):
    """A document that has no schema number in the file as long as the number is 1.

    It is for files whose hash in dvc.lock must stay what it was before documents had numbers: a new key would
    change the hash, and with it the recipe of every released model.
    """

    SCHEMA = 1

    def to_json(self) -> dict[str, Any]:
        """The document in JSON's own types; its schema number only if that is above 1."""
        content = super().to_json()
        return content if self.SCHEMA > 1 else {key: content[key] for key in content if key != "schema"}

    @classmethod
    def from_json(cls, content: object, name: str) -> Self:
        """Read what `to_json` returned; a missing schema number is 1."""
        return super().from_json({"schema": 1} | content if isinstance(content, dict) else content, name)
