# SPDX-License-Identifier: Apache-2.0
# limit: 60
"""File names out of URLs: safe, inside the directory, never shared, found again."""

import os
import re

import support
from server import Server, body_of, whole

# The last segment of the URL -> the name on the disk. Hexadecimal digits are compared in upper case.
NAMES = {
    "/file.txt": "file.txt",
    "/a/b/file.txt": "file.txt",
    "/": "index",
    "": "index",
    "/dir/": "index",
    "/a%2Fb": "a%2Fb",
    "/a%2fb%2f": "a%2Fb%2F",
    "/a%5Cb": "a%5Cb",
    "/..%5C..%5Cevil": "_..%5C..%5Cevil",
    "/a%00b": "a%00b",
    "/a%0Ab%0Dc%09d": "a%0Ab%0Dc%09d",
    "/con%1b%5b31m": "con%1B[31m",
    "/del%7f": "del%7F",
    "/c1%C2%9B31m": "c1%C2%9B31m",
    "/%3A%2A%3F%22%3C%3E%7C": "%3A%2A%3F%22%3C%3E%7C",
    "/%E2%80%AEgpj.exe": "%E2%80%AEgpj.exe",
    "/%E2%81%A6x%E2%80%8F": "%E2%81%A6x%E2%80%8F",
    "/%ff%fe.bin": "%FF%FE.bin",
    "/cut%E2%82": "cut%E2%82",
    "/overlong%C0%AF": "overlong%C0%AF",
    "/caf%C3%A9.txt": "caf\u00e9.txt",
    "/a%20b": "a b",
    "/a+b": "a+b",
    "/.bashrc": "_.bashrc",
    "/-rf": "_-rf",
    "/%2Drf": "_-rf",
    "/%2Ehidden": "_.hidden",
    "/.plait-fetch.db": "_.plait-fetch.db",
    "/...": "_...",
    "/query?x=/../../evil": "query",
    "/fragment#/../evil": "fragment",
    "/twice%2541": "twice%41",
}


def upper_hex(name):
    return re.sub("%[0-9a-fA-F]{2}", lambda found: found.group().upper(), name)


class Names(support.CommandTest):
    def setUp(self):
        super().setUp()
        server = Server(whole)
        self.server = server.__enter__()
        self.addCleanup(server.stop)

    def test_TheNameIsTheLastSegmentMadeSafe(self):
        for path, name in NAMES.items():
            with self.subTest(path=path):
                self.empty_directory()
                result = self.fetch(self.server.url(path))
                self.assert_status(0, result)
                self.assertEqual([upper_hex(name)], [upper_hex(found) for found in self.files()], result)
                self.assertEqual(self.files(), [result.rows[0]["file"]], result)
                self.assert_no_raw_control(result.stderr, result)

    def test_AllOfThemAtOnceFromEveryExecutor(self):
        """Several of them collide; each still has a file of its own, the same under every executor."""
        given = {}
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                self.empty_directory()
                urls = [self.server.url(path) for path in NAMES]
                result = self.fetch("-x", executor, "-i", self.list_file(*urls))
                self.assert_status(0, result)
                names = [row["file"] for row in result.rows]
                self.assert_files(set(names), result)
                given[executor] = names
        for names in given.values():
            self.assertEqual(given["loop"], names)

    def test_DotsNeverClimb(self):
        for path in ("/..", "/../..", "/a/..", "/%2e%2e", "/a/%2e%2e", "/a/.%2e", "/%2e", "/.", "/..%2f..%2f..%2fevil",
                     "/%2e%2e%2fevil", "/..%2fevil", "/%2fetc%2fpasswd", "//etc/passwd", "/a/../../../evil",
                     "/%252e%252e%252fevil", "/..;/evil", "/..%c0%afevil"):
            with self.subTest(path=path):
                self.empty_directory()
                before = set(os.listdir(self.path))
                result = self.fetch(self.server.url(path))
                self.assert_status(0, result)
                name, = self.files()
                self.assertNotIn("/", name)
                self.assertFalse(name.startswith("."), name)
                self.assertEqual(before | {"report.jsonl"}, set(os.listdir(self.path)), result)

    def test_LongNamesAreCutAndStayApart(self):
        stem = "n" * 300
        paths = ["/" + stem + ".tar.gz", "/" + stem + "2.tar.gz", "/x/" + stem + ".tar.gz", "/" + "%C3%A9" * 250 + ".txt"]
        result = self.fetch("-i", self.list_file(*[self.server.url(path) for path in paths]))
        self.assert_status(0, result)
        names = [row["file"] for row in result.rows]
        self.assertEqual(4, len(set(names)), names)
        for path, name in zip(paths, names):
            self.assertLessEqual(len(os.fsencode(name)), 200, name)
            self.assertRegex(name, r"~[0-9a-f]{8}")
            self.assertTrue(name.endswith(os.path.splitext(path)[1]), name)
            name.encode("utf-8")                    # cut between characters, not within one
            self.assertEqual(body_of(path), (self.dir / name).read_bytes())

    def test_AnExtensionTooLongIsCutAsWell(self):
        result = self.fetch(self.server.url("/a." + "e" * 400))
        self.assert_status(0, result)
        self.assertLessEqual(len(self.files()[0]), 200)

    def test_CollisionsAreFoundCaseFolded(self):
        paths = ["/a/Name.txt", "/b/name.txt", "/c/NAME.TXT", "/d/other", "/e/OTHER"]
        result = self.fetch("-i", self.list_file(*[self.server.url(path) for path in paths]))
        self.assert_status(0, result)
        names = [row["file"] for row in result.rows]
        self.assertEqual(["Name.txt", "name~2.txt", "NAME~3.TXT", "other", "OTHER~2"], names)
        for path, name in zip(paths, names):
            self.assertEqual(body_of(path), (self.dir / name).read_bytes(), result)

    def test_ACollisionDoesNotTakeAnothersName(self):
        paths = ["/a/n.txt", "/b/n.txt", "/c/n~2.txt", "/d/n.txt"]
        result = self.fetch("-i", self.list_file(*[self.server.url(path) for path in paths]))
        self.assert_status(0, result)
        names = [row["file"] for row in result.rows]
        self.assertEqual(4, len({name.lower() for name in names}), names)
        for path, name in zip(paths, names):
            self.assertEqual(body_of(path), (self.dir / name).read_bytes(), result)

    def test_NamesDoNotDependOnWhoIsFirst(self):
        """The first in the list is the slowest; its name is its own all the same."""
        def uneven(connection, request):
            connection.pause(0.3 if request.path.startswith("/slow") else 0)
            return whole(connection, request)
        self.server.handler = uneven
        for executor in support.EXECUTORS:
            with self.subTest(executor=executor):
                self.empty_directory()
                urls = [self.server.url(path) for path in ("/slow/x", "/fast1/x", "/fast2/x")]
                result = self.fetch("-x", executor, "-w", "3", "-i", self.list_file(*urls))
                self.assertEqual(["x", "x~2", "x~3"], [row["file"] for row in result.rows], result)
                self.assertEqual(body_of("/slow/x"), (self.dir / "x").read_bytes())

    def test_NamesGivenInTheListAreMadeSafeToo(self):
        names = ["../evil", "/etc/evil", "..", ".", "", "\x1b[31mred", "-n", ".profile", "a\\b", "x" * 400]
        lines = [f"{self.server.url(f'/{i}')}\t{name}" for i, name in enumerate(names)]
        result = self.fetch("-i", self.list_file(*lines))
        self.assertEqual(len(names), len(result.rows), result)
        self.assertEqual({"out", "list.txt", "report.jsonl"}, set(os.listdir(self.path)), "something was written outside")
        for index, row in enumerate(result.rows):
            if row["error"] is None:
                self.assertEqual(body_of(f"/{index}"), (self.dir / row["file"]).read_bytes())
                self.assertNotRegex(os.path.basename(row["file"]), r"^[.-]|[\x00-\x1f\\]")
            else:
                self.assert_reason("url", row, result)
        self.assert_no_raw_control(result.stderr, result)

    def test_ANameGivenTwiceIsNotShared(self):
        lines = [f"{self.server.url('/one')}\tsame", f"{self.server.url('/two')}\tsame"]
        result = self.fetch("-i", self.list_file(*lines))
        self.assertEqual(body_of("/one"), (self.dir / "same").read_bytes(), result)
        second = result.rows[1]
        if second["error"] is None:
            self.assertEqual(body_of("/two"), (self.dir / second["file"]).read_bytes())
        else:
            self.assert_reason("exists", second, result)


if __name__ == "__main__":
    support.main()
