"""How files are written: every wrong value is one line, with what would do."""

from __future__ import annotations

import codecs

import pytest

from perenne.common.errors import PerenneError
from perenne.common.reading import Read, with_weekday
from tests import tiny


def read(text: str) -> Read:
    """Return what a contract says of its files."""
    return tiny.contract("label_delay: 0", f"label_delay: 0\nread: {text}").read


def test_defaults_are_the_pipelines_own_way() -> None:
    """A contract that says nothing reads what it always did."""
    assert tiny.contract().read == Read() == read("{}")


def test_one_text_needs_no_list() -> None:
    """As for the roles of a column."""
    assert read('{strip: "€", dates: "%d/%m/%Y", missing: "-"}') == Read(
        strip=("€",), dates=("%d/%m/%Y",), missing=("-",)
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{delimiter: ";;"}', "read.delimiter: found ';;', must be one character, such as "),
        ("{delimiter: '\\t'}", "read.delimiter: found '\\\\t', must be one character, such as "),
        ('{delimiter: ""}', "read.delimiter: found '', must be one character"),
        ('{delimiter: "é"}', "read.delimiter: found 'é', must be one character"),
        ("{delimiter: a}", "read.delimiter: found 'a', must be one character"),
        ("{delimiter: 5}", "read.delimiter: found 5, must be a string"),
        ("{encoding: latn-1}", "read.encoding: found 'latn-1', must be an encoding; did you mean 'latin-1'?"),
        ("{encoding: base64}", "read.encoding: found 'base64', must be an encoding; valid: big5, cp1250"),
        ("{quote: '\"\"'}", "read.quote: found '\"\"', must be one character, such as '\"', or empty"),
        ('{quote: ","}', "read: quote: found ',', which is the delimiter as well"),
        ('{decimal: ";"}', "read.decimal: found ';', must be '.' or ','"),
        ('{thousands: ";"}', "read.thousands: found ';', must be '', ',', '.', ' ', \"'\" or '_'"),
        ('{thousands: "."}', "read: thousands: found '.', which is the decimal as well; is that ','?"),
        ('{decimal: ",", thousands: ","}', "read: thousands: found ',', which is the decimal as well; is th"),
        ('{strip: ["€", " "]}', "read.strip.1: found ' ', must be what stands beside a number, such as $, k"),
        ('{strip: "-"}', "read.strip.0: found '-', must be what stands beside a number"),
        ("{strip: ['0']}", "read.strip.0: found '0', must be what stands beside a number"),
        ('{dates: "%d/%m"}', "read.dates.0: found '%d/%m', must be seconds, milliseconds, ordinal days, "),
        ("{dates: secods}", "read.dates.0: found 'secods', must be seconds, milliseconds, ordinal days, "),
        ('{dates: ["%Y", "%Q %Y"]}', "read.dates.1: found '%Q %Y', must be seconds, milliseconds, ordinal "),
        ('{dates: "%c %Y"}', "read.dates.0: found '%c %Y', must be seconds, milliseconds, ordinal days, "),
        ('{dates: "%Y-%d-%m"}', "read.dates.0: found '%Y-%d-%m', but 2021-05-12 is read as the 12th of May"),
        ("{missing: [-999]}", "read.missing.0: found -999, must be a string"),
        ("{sheet: 1}", "read.sheet: found 1, must be a string"),
        ("{sheets: a}", "read.sheets: unknown key; did you mean 'sheet'? Valid: "),
        ("5", "read: found 5, must be a mapping"),
    ],
)  # fmt: skip
def test_wrong_value_is_one_line(text: str, line: str) -> None:
    """The line names the key, the value, and what would do."""
    with pytest.raises(PerenneError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"contract.yaml: {line}")


@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf8", "utf-8-sig"])
def test_utf8_has_one_name(encoding: str) -> None:
    """It is the one that takes a byte order mark, and that Arrow reads by itself."""
    assert Read(encoding=encoding).codec == "utf-8"


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-32-le", "latin-1", "cp1252", "shift_jis", "gb18030", "koi8-r"]
)
def test_every_codec_of_python_will_do(encoding: str) -> None:
    """By any of its names."""
    assert codecs.lookup(Read(encoding=encoding).codec) == codecs.lookup(encoding)


def test_ending_says_tab_where_the_contract_says_comma() -> None:
    """In a gzip too, and whatever the case of its letters."""
    names = ["a.csv", "a.tsv", "A.TAB", "a.tsv.gz", "tsv.csv"]
    assert [Read().delimiter_of(name) for name in names] == [",", "\t", "\t", "\t", ","]
    assert {Read(delimiter="|").delimiter_of(name) for name in names} == {"|"}


def test_week_without_a_day_is_its_monday() -> None:
    """A format that names the day is left as it is."""
    assert with_weekday("%G week %V") == ("%G week %V %u", " 1")
    assert with_weekday("%G-W%V-%u") == ("%G-W%V-%u", "")
    assert with_weekday("%d/%m/%Y") == ("%d/%m/%Y", "")
