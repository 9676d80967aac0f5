#!/usr/bin/env python3
"""usage: check_farm_table.py SOURCE_DIR

Holds the failure table of docs/farm.md ("what happens | what follows | tests") to the tests: each row names one or
says that there is none yet, and each that is named (`Suite.Test`) is in a source under tests/. Exit status 1 lists
what is not so.
"""

import pathlib
import re
import sys

HEADER = ["what happens", "what follows", "tests"]
NONE_YET = "none yet"
NAMED = re.compile(r"`(\w+)\.(\w+)`")
TEST = re.compile(r"^TEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)", re.MULTILINE)


def rows(page):
    """The table's rows as (line number, cells)."""
    inside = False
    for number, line in enumerate(page.splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
        if cells == HEADER:
            inside = True
        elif not cells:
            inside = False
        elif inside and set("".join(cells)) != {"-"}:
            yield number, cells


def main():
    source = pathlib.Path(sys.argv[1])
    known = {".".join(names) for path in (source / "tests").rglob("*.cc") for names in TEST.findall(path.read_text())}
    wrong, named, count = [], set(), 0
    for number, cells in rows((source / "docs" / "farm.md").read_text()):
        count += 1
        tests = [".".join(names) for names in NAMED.findall(cells[-1])]
        if len(cells) != len(HEADER):
            wrong.append(f"docs/farm.md:{number}: {len(cells)} cells")
        elif not tests and not cells[-1].startswith(NONE_YET):
            wrong.append(f"docs/farm.md:{number}: no test of: {cells[0]}")
        wrong += [f"docs/farm.md:{number}: there is no {test}" for test in tests if test not in known]
        named |= set(tests)
    if count == 0:
        wrong.append("docs/farm.md: no table of failures")
    print("\n".join(wrong) or f"{count} rows, {len(named)} tests, all there")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
