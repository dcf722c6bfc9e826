"""A file is read as it was written, whatever wrote it; one that is damaged is refused with what is wrong, and where."""

from __future__ import annotations

import csv
import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.members.domain import values
from services.members.domain.importing import cells, reading
from services.members.domain.importing.reading import (
    EncodingWrong,
    FileEmpty,
    FileUnreadable,
    HeaderMissing,
    NotText,
    QuoteUnclosed,
    examine,
    rows,
    sample_rows,
)

CELL = st.text(st.sampled_from("abcXYZ 09éèüñç€;,|\t\"'\n-."), max_size=12)
TABLE = st.integers(2, 6).flatmap(
    lambda width: st.lists(st.lists(CELL, min_size=width, max_size=width), min_size=1, max_size=12)
)


def written(table: list[list[str]], delimiter: str, encoding: str, line: str) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=line).writerows(table)
    return out.getvalue().encode(encoding)


def read(content: bytes) -> tuple[reading.Format, list[tuple[int, list[str]]]]:
    found = examine(lambda: io.BytesIO(content))
    return found, list(rows(io.BytesIO(content), found))


@settings(max_examples=150, deadline=None)
@given(
    TABLE,
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_dialect_and_encoding_reads_back_cell_by_cell(
    table: list[list[str]], delimiter: str, encoding: str, line: str
) -> None:
    headings = [f"Colonne née {n}" for n in range(len(table[0]))]
    plain = [["é" * (n + 1) for n in range(len(headings))] for _ in range(30)]  # what makes most lists easy
    _, back = read(written([headings, *plain, *table], delimiter, encoding, line))
    assert [cells_ for _, cells_ in back] == [*plain, *table]
    assert [number for number, _ in back] == list(range(2, len(back) + 2))


def test_a_file_is_read_in_memory_that_does_not_grow_with_it() -> None:
    class Endless(io.RawIOBase):
        """A list of a hundred million rows, if anybody held it."""

        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: bytearray) -> int:  # type: ignore[override] # any buffer
            block = (b"a;b\n" if self.given == 0 else b"1;2\n") * (len(buffer) // 4)
            buffer[: len(block)] = block
            self.given += len(block)
            return len(block)

    stream = Endless()
    file_format = reading.Format("utf-8", ";", 1, ("a", "b"))
    for number, _ in rows(io.BufferedReader(stream), file_format):  # type: ignore[type-var] # it reads into any buffer
        if number == 10_000:
            break
    assert stream.given < 1_000_000


def test_rows_are_numbered_as_a_spreadsheet_shows_them() -> None:
    _, back = read(b'nom;mot\nA;"deux\nlignes"\n\nB;c\n')
    assert back == [(2, ["A", "deux\nlignes"]), (3, []), (4, ["B", "c"])]


def test_excels_own_hint_of_the_separator_is_followed() -> None:
    found, back = read(b"sep=;\nnom;mot\nA;1,5\n")
    assert (found.delimiter, found.headings, back) == (";", ("nom", "mot"), [(3, ["A", "1,5"])])


def test_repeated_and_missing_headings_get_names() -> None:
    found, _ = read("Nom;Nom;;Né\nA;B;C;D\n".encode("cp1252"))
    assert found.headings == ("Nom", "Nom (2)", "(C)", "Né")


@pytest.mark.parametrize(
    ("content", "error", "row"),
    [
        (b"", FileEmpty, 0),
        (b"\xef\xbb\xbf", FileEmpty, 0),
        (b"\n\n  \n", FileEmpty, 0),
        (b"ada@mail.example;Ada\nb@mail.example;B\n", HeaderMissing, 1),
        (b"nom;mot\nA;b\nC;\0d\n", NotText, 3),
        (b'nom;mot\nA;b\nC;"d\nE;f\n', QuoteUnclosed, 3),
        (b'nom;mot\nA;"b" c"\n', FileUnreadable, 2),
    ],
)
def test_a_damaged_file_is_refused_with_what_is_wrong_and_where(
    content: bytes, error: type[FileUnreadable], row: int
) -> None:
    with pytest.raises(error) as caught:
        read(content)
    assert caught.value.row == row
    assert len(caught.value.message) > 30


def test_a_chosen_encoding_that_does_not_fit_is_said() -> None:
    content = "nom;mot\né;à\n".encode("cp1252")
    with pytest.raises(EncodingWrong):
        found = examine(lambda: io.BytesIO(content), encoding="utf-8")
        list(rows(io.BytesIO(content), found))


def test_a_sample_skips_empty_rows() -> None:
    content = b"a;b\n\n1;2\n;\n3;4\n"
    found = examine(lambda: io.BytesIO(content))
    assert sample_rows(lambda: io.BytesIO(content), found, 10) == [["1", "2"], ["3", "4"]]


def workbook(rows_: list[list[str]]) -> bytes:
    """The least that is a workbook: numbers are written bare, other texts inline."""

    def cell(text: str) -> str:
        bare = text.replace(".", "", 1).isdecimal()
        return f"<c><v>{text}</v></c>" if bare else f'<c t="inlineStr"><is><t>{text}</t></is></c>'

    sheet = "".join(f"<row>{''.join(map(cell, each))}</row>" for each in rows_)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts = {
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" Type="{office}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="Membres" sheetId="1" '
        'r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{sheet}</sheetData></worksheet>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return out.getvalue()


def test_a_workbooks_first_sheet_is_read_like_a_list() -> None:
    found, back = read(
        workbook([["Nom", "Courriel", "Cotisation"], ["Maes", "ada@mail.example", "185.5"], ["B", "c", "12"]])
    )
    assert (found.encoding, found.headings) == ("xlsx", ("Nom", "Courriel", "Cotisation"))
    assert back == [(2, ["Maes", "ada@mail.example", "185,5"]), (3, ["B", "c", "12"])]


def test_what_only_begins_like_a_workbook_is_refused() -> None:
    with pytest.raises(FileUnreadable):
        read(b"PK\x03\x04 and then nothing that is one")


# Cells


@pytest.mark.parametrize(
    ("text", "order", "said"),
    [
        ("03/02/2001", "dmy", "2001-02-03"),
        ("3-2-2001", "dmy", "2001-02-03"),
        ("02/03/2001", "mdy", "2001-02-03"),
        ("2001-02-03", "mdy", "2001-02-03"),
        ("2001-02-03T10:00:00Z", "dmy", "2001-02-03"),
        ("31/02/1999", "dmy", "date-impossible"),
        ("hier", "dmy", "date-unreadable"),
    ],
)
def test_dates_are_read_day_first_unless_told_otherwise(text: str, order: str, said: str) -> None:
    try:
        assert cells.calendar_date(text, order).isoformat() == said
    except cells.CellRefused as refused:
        assert refused.code == said


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("240,00", ",", 240.0),
        ("1.234,5", ",", 1234.5),
        ("1 234,50 €", ",", 1234.5),
        ("1,234.5", ".", 1234.5),
        ("-3", ",", -3),
    ],
)
def test_numbers_are_read_with_their_decimal_mark(text: str, decimal: str, value: float) -> None:
    assert cells.number(text, decimal) == value


@pytest.mark.parametrize("text", ["abc", "", "1,2,3", "١٢"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(cells.CellRefused):
        cells.number(text, ",")


def test_instants_know_their_zone() -> None:
    now = 2_000_000_000_000
    assert cells.past_instant("2021-12-28 01:34:00", "dmy", now) == 1_640_655_240_000
    assert cells.past_instant("2021-12-28T02:34:00+01:00", "dmy", now) == 1_640_655_240_000
    assert cells.past_instant("2026-11-23 01:46:29.957428 +0000 UTC", "dmy", now) == 1_795_398_389_000
    with pytest.raises(cells.CellRefused):
        cells.past_instant("2099-01-01", "dmy", now)


@pytest.mark.parametrize(
    ("text", "tag"),
    [("FR", "fr"), ("Français", "fr"), ("nl_be", "nl-BE"), ("Nederlands", "nl"), ("en-GB", "en-GB"), ("DE", "de")],
)
def test_languages_have_names_and_codes(text: str, tag: str) -> None:
    assert cells.language_tag(text) == tag


LOCAL = st.text(st.sampled_from("abz019._+-@ 'é"), min_size=1, max_size=12)
DOMAIN = st.lists(st.text(st.sampled_from("ab1-é"), min_size=1, max_size=5), min_size=1, max_size=3).map(".".join)


@settings(max_examples=300, deadline=None)
@given(LOCAL, DOMAIN, st.sampled_from(["example", "be", "com", "test", "local", "c"]))
def test_the_short_path_for_addresses_takes_only_what_the_library_takes(local: str, domain: str, ending: str) -> None:
    from email_validator import EmailNotValidError, validate_email

    text = f"{local}@{domain}.{ending}"
    try:
        ours = values.email_address(text)
    except values.BadAddress:
        ours = ""
    try:
        theirs = validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        theirs = ""
    assert ours == theirs


NUMBER = st.tuples(
    st.sampled_from(["0", "+32", "0032", "+32 (0) ", "+33", "0033", "+31"]),
    st.text(st.sampled_from("0123456789"), min_size=7, max_size=10),
    st.sampled_from(["", " ", ".", "/"]),
)


@settings(max_examples=300, deadline=None)
@given(NUMBER, st.sampled_from(["BE", "FR"]))
def test_the_short_path_for_phones_takes_only_what_the_library_takes(
    number: tuple[str, str, str], country: str
) -> None:
    import phonenumbers

    prefix, digits, mark = number
    text = prefix + mark.join([digits[:3], digits[3:5], digits[5:]])
    try:
        parsed = phonenumbers.parse(text, country)
        valid = phonenumbers.is_valid_number(parsed)
        theirs = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else ""
    except phonenumbers.NumberParseException:
        theirs = ""
    try:
        ours = values.phone_number(text, country)
    except values.BadAddress:
        ours = ""
    assert ours == theirs
