"""docs/old-options.md says what the parser does."""

from pathlib import Path

import pytest

from annex_core.legacy.knobs import KNOBS
from annex_core.legacy.options import ANNEX, DAEMON, OPTIONS, PERL, Option

DOCS = (Path(__file__).parent.parent.parent / "docs" / "old-options.md").read_text()
SECTIONS = {"condor_annex": ANNEX, "The annex daemon's client": DAEMON, "The script that went by project ids": PERL}


def rows(section: str) -> list[str]:
    text = DOCS.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("section", SECTIONS)
def test_each_tools_table_is_its_options(section: str) -> None:
    def row(option: Option) -> str:
        return f"| `{' '.join((str(option), *option.takes))}` | {option.now} |"

    assert rows(section) == [row(each) for each in SECTIONS[section]]


def test_the_table_of_knobs_is_what_is_read() -> None:
    assert rows("Knobs") == [f"| `{name}` | {now} |" for name, now in KNOBS.items()]


@pytest.mark.parametrize("option", [each for each in OPTIONS if each.refused], ids=lambda each: f"{each.tool} {each}")
def test_what_is_refused_says_what_to_do_instead(option: Option) -> None:
    assert option.now.startswith("Refused: ") or "Refused, unless" in option.now
    assert len(option.now.removeprefix("Refused: ")) > 20
