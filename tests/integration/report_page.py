"""Reads a page with Python's own parser, which shares nothing with what wrote it, and prints as JSON: the text of each
section, the cells of each table by its caption, and what is wrong.

usage: report_page.py FILE
"""
import html.parser
import json
import sys

VOID = {"meta", "br", "img", "hr", "link", "input"}


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.faults, self.ids = [], [], set()
        self.sections, self.tables, self.section = {}, {}, None
        self.caption, self.rows, self.cell = None, [], None
        self.headings = []

    def handle_starttag(self, tag, attrs):
        if len({name for name, _ in attrs}) != len(attrs):
            self.faults.append(f"{tag}: an attribute twice")
        attrs = dict(attrs)
        if "id" in attrs:
            if attrs["id"] in self.ids:
                self.faults.append(f"id {attrs['id']} twice")
            self.ids.add(attrs["id"])
        if tag in ("script", "iframe", "object", "form", "base"):
            self.faults.append(f"there is a {tag}")
        for name in attrs:
            if name.startswith("on") or name == "src":
                self.faults.append(f"{tag} has {name}")
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = attrs["id"]
            self.sections[self.section] = ""
        if tag in ("h1", "h2", "h3"):
            self.headings.append(int(tag[1]))
        if tag == "table":
            self.rows, self.caption = [], ""
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            if tag == "th" and attrs.get("scope") not in ("row", "col"):
                self.faults.append("th without scope")
            self.cell = ""

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"end of {tag} at {self.getpos()}")
        if tag == "section":
            self.section = None
        if tag in ("td", "th"):
            self.rows[-1].append(self.cell)
            self.cell = None
        if tag == "table":
            self.tables[self.caption] = self.rows

    def handle_data(self, data):
        if self.section:
            self.sections[self.section] += data
        if self.cell is not None:
            self.cell += data
        if self.open and self.open[-1] == "caption":
            self.caption += data


page = Page()
page.feed(open(sys.argv[1], encoding="utf-8").read())
page.close()
page.faults += [f"{tag} is left open" for tag in page.open]
page.faults += [f"heading {b} after {a}" for a, b in zip(page.headings, page.headings[1:]) if b > a + 1]
print(json.dumps({"faults": page.faults, "sections": page.sections, "tables": page.tables}))
