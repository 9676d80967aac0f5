#!/usr/bin/env python3
"""usage: check_glossary.py SOURCE_DIR

Holds the words that headers of kernels_templates/isa explain (k_dot, K_HIDE) to the sources: every one of them
is defined there, and every one that a template uses is explained. Exit status 1 lists what is not so.
"""

import pathlib
import re
import sys

WORD = re.compile(r"\b[kK]_[A-Za-z0-9_]+")
COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)


def words(text):
    """Names in C that is printed by C++: no part of a longer name that is put together (k_store{})."""
    text = text.replace("\\n", " ")
    return {m.group() for m in WORD.finditer(text) if text[m.end():m.end() + 1] != "{"}


def code(paths):
    return set().union(*(words(COMMENT.sub("", path.read_text())) for path in paths))


def explained(paths):
    found = set()
    for path in paths:
        text = "\n".join(COMMENT.findall(path.read_text()))
        # k_store1/2/4_n is k_store1_n, k_store2_n, k_store4_n.
        text = re.sub(r"(k_\w*?)(\d)/(\d)/(\d)(\w*)", r"\1\2\5 \1\3\5 \1\4\5", text)
        found |= words(text)
    return found


def main():
    templates = pathlib.Path(sys.argv[1]) / "kernels_templates"
    vocabulary = sorted((templates / "isa").glob("*.cc")) + [templates / "isa" / "data_stage.h"]
    users = [path for path in templates.rglob("*.cc") if path.parent.name != "isa"]
    defined, used = code(vocabulary), code(users)
    known = explained((templates / "isa").glob("*.h"))
    wrong = [f"{word} is explained but not defined" for word in sorted(known - defined)]
    wrong += [f"{word} is used by templates but not explained" for word in sorted(used & defined - known)]
    print("\n".join(wrong) or f"{len(known)} words, all defined; {len(used & defined)} used, all explained")
    return 1 if wrong or not known else 0


if __name__ == "__main__":
    sys.exit(main())
