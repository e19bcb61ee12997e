# SPDX-License-Identifier: Apache-2.0
"""A room includes only rooms below it: cmake/layers.txt lists them. Public headers have rooms too."""

import tree

height, rooms_of_header = {}, {}
line_of_rooms = 0
for line in (tree.ROOT / "cmake/layers.txt").read_text().splitlines():
    if line.strip() and not line.startswith("#"):
        rooms, headers = (part.split() for part in line.split(":"))
        if not set(rooms) <= set(height):
            line_of_rooms += 1
            height |= {room: line_of_rooms for room in rooms}
        rooms_of_header |= {f"plait/{header}.hpp": rooms for header in headers}


def rooms_of_detail(path):
    """A detail header that is not listed stands with its namesake: the public header, or the source in src/ROOM."""
    if f"plait/{path.name}" in rooms_of_header:
        return rooms_of_header[f"plait/{path.name}"]
    namesakes = {namesake.parent.name for namesake in (tree.ROOT / "src").glob(f"*/{path.stem}.cpp")} & set(height)
    return sorted(namesakes) if len(namesakes) == 1 else None


def rooms_of(path):
    """The rooms at whose height a file stands; None if it is in none."""
    parts = tree.relative(path).parts
    if parts[0] == "include":
        return rooms_of_header.get("/".join(parts[1:])) or rooms_of_detail(path)
    if parts[0] == "src":
        return [parts[1]] if parts[1] in height else None
    return ["apps"]


faults, edges = [], 0
for path in tree.sources("include", "src", "apps"):
    mine = rooms_of(path)
    if mine is None:
        faults.append(f"{tree.relative(path)}: in no room; name it in cmake/layers.txt")
        continue
    for number, name, own in tree.includes(path):
        theirs = rooms_of(own) if own else None
        if theirs is None:
            continue
        edges += 1
        above = height[theirs[0]] > height[mine[0]]
        beside = height[theirs[0]] == height[mine[0]] and not set(theirs) & set(mine)
        if above or beside:
            where = "stands above" if above else "stands beside"
            faults.append(f"{tree.relative(path)}:{number}: {mine[0]} includes {name}, which {where} it ({theirs[0]})")
tree.finish(faults, f"{edges} includes between rooms")
