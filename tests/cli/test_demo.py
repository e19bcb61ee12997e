# SPDX-License-Identifier: Apache-2.0
# limit: 90
# alone
"""The classic exercise: plait fetch --demo downloads two sites 80 times each from a server of its own."""

import json
import re
import time

import support


class Demo(support.CommandTest):
    def demo(self, *options):
        begin = time.monotonic()
        result = self.run_plait("--demo", *options, cwd=self.dir)
        result.seconds = time.monotonic() - begin
        self.assert_status(0, result)
        return result

    def test_EightyDownloadsOfEachSiteMarkedByTheirLetter(self):
        for executor in ("threads", "loop", "loops"):
            with self.subTest(executor=executor):
                result = self.demo("-x", executor, "-w", "5" if executor == "threads" else "1")
                marks = re.sub(r"[^A-Za-z]", "", result.out.split("\n")[0])
                self.assertEqual(2, len(set(marks)), result)
                self.assertEqual([80, 80], [marks.count(letter) for letter in set(marks)], result)

    def test_ProcessesAreMarkedByWorker(self):
        result = self.demo("-x", "processes", "-w", "4")
        marks = result.out.split("\n")[0].strip()
        self.assertEqual(160, len(marks), result)
        self.assertTrue(2 <= len(set(marks)) <= 4, result)

    def test_SerialTakesEightSecondsAndTheLoopLessThanATenth(self):
        """160 downloads at 50 ms each; ratios only, since the machine is shared."""
        serial = self.demo("-x", "serial").seconds
        threads = self.demo("-x", "threads", "-w", "5").seconds
        loop = self.demo("-x", "loop").seconds
        self.assertGreaterEqual(serial, 8.0)
        self.assertLess(threads, serial / 3)
        self.assertLess(loop, serial / 10)

    def test_NothingIsLeftBehind(self):
        self.demo("-x", "loop")
        self.assert_files([])

    def test_ASummaryAsJson(self):
        result = self.demo("-x", "loop", "--mark", "none", "--json")
        self.assertIn(160, [value for value in json.loads(result.stdout).values() if isinstance(value, int)], result)


if __name__ == "__main__":
    support.main()
