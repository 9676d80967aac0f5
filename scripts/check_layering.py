#!/usr/bin/env python3
"""Holds every folder's includes to the DEPS that its CMakeLists.txt declares.

usage: check_layering.py SOURCE_DIR MODULE_DEPS

MODULE_DEPS has a line `module: dep dep ...` for each kiln_module() call. A module may include itself, its DEPS, and what
those may include. Dependencies must be acyclic. Prints one line per offence; exit status 1 if there are any.
"""
import pathlib
import re
import sys

source = pathlib.Path(sys.argv[1])
direct = {}
for line in pathlib.Path(sys.argv[2]).read_text().splitlines():
    module, _, deps = line.partition(":")
    # A part of a folder (ops_plain) counts as the folder.
    direct.setdefault(module, set()).update(deps.split())
folders = set(direct)


def folder_of(dep):
    return max((f for f in folders if dep == f or dep.startswith(f + "_")), key=len, default=dep)


allowed = {m: {folder_of(d) for d in deps} - {m} for m, deps in direct.items()}


def reach(module, path=()):
    if module in path:
        sys.exit("modules depend on each other in a circle: " + " -> ".join([*path, module]))
    found = {module}
    for dep in allowed.get(module, ()):
        found |= reach(dep, (*path, module))
    return found


offences = []
checked = 0
for module in sorted(folders):
    may = reach(module)
    for file in sorted((source / module).rglob("*")):
        if file.suffix not in {".h", ".cc"}:
            continue
        for number, text in enumerate(file.read_text().splitlines(), 1):
            include = re.match(r'\s*#\s*include\s*"(\w+)/', text)
            if not include:
                continue
            checked += 1
            if include[1] in folders and include[1] not in may:
                offences.append(f"{file.relative_to(source)}:{number}: {module} may not include {include[1]} "
                                f"(its DEPS reach: {' '.join(sorted(may - {module})) or 'nothing'})")
print("\n".join(offences) or f"{len(folders)} modules, {checked} includes, all as declared")
sys.exit(bool(offences) or not checked)
