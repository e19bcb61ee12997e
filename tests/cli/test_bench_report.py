# SPDX-License-Identifier: Apache-2.0
# limit: 30
"""bench/report.py: what a row is judged by, and what bench.json holds."""

import json
import subprocess
import sys

import support

sys.path.insert(0, str(support.ROOT / "bench"))
import report                                       # noqa: E402


class Judged(support.CommandTest):
    def row(self, **changes):
        return report.judged({"row": "r", "unit": "ns", "plait": 10, "peers": {"a": 50, "b": 40}, "better": "lower",
                              "reach": 4, **changes})

    def test_TheRatioIsToTheBestPeerAndAboveOneIsBetter(self):
        lower = self.row()
        self.assertEqual(("b", 4.0, True), (lower["best_peer"], lower["ratio"], lower["met"]))
        higher = self.row(plait=100, better="higher")
        self.assertEqual(("a", 2.0, False), (higher["best_peer"], higher["ratio"], higher["met"]))

    def test_APeerThatIsNotThereIsNotCounted(self):
        row = self.row(peers={"a": None, "b": 40})
        self.assertEqual(("b", 4.0), (row["best_peer"], row["ratio"]))
        none = self.row(peers={"a": None})
        self.assertEqual((None, None, None), (none["best_peer"], none["ratio"], none["met"]))

    def test_TheKeysAreTheDocumentedOnes(self):
        self.assertEqual(["row", "unit", "plait", "peers", "best_peer", "ratio", "reach", "met"], list(self.row()))

    def test_TheTableNamesLossesToo(self):
        text = report.table([self.row(), self.row(plait=100)])
        self.assertIn("yes", text)
        self.assertIn("**no**", text)
        self.assertEqual(1, len({len(line) for line in text.splitlines()}), text)

    def test_RowsOfGrowthAreATableOfTheirOwnWithoutAReach(self):
        main, grown = report.tables([self.row(), self.row(row="growth: r, 10 tasks", reach=None)]).split("## As the work grows")
        self.assertIn("| met", main)
        self.assertNotIn("growth", main)
        self.assertIn("| growth: r, 10 tasks |", grown)
        self.assertNotIn("reach", grown)

    def test_ARowIsFoundWithAndWithoutItsColon(self):
        self.assertEqual(report.plain("growth: empty tasks"), report.plain("growth-empty-tasks"))

    def test_AllThatGrowsIsFoundByOneWord(self):
        with_growth = {name for name, _, rows in report.benches(self.path) if "growth" in rows}
        self.assertEqual({name for name, _, _ in report.benches(self.path) if name.startswith("growth_")}, with_growth)

    def test_ARowThatNobodyHasIsStatus2AndListsThoseThatThereAre(self):
        done = subprocess.run([sys.executable, str(support.ROOT / "bench/report.py"), str(self.path), "no", "such"],
                              capture_output=True, text=True)
        self.assertEqual(2, done.returncode)
        self.assertIn("small files", done.stderr)

    def test_ABenchIsRunAndItsRowsKeptWithEarlierOnes(self):
        program = self.path / "build/bench/probe"
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\necho noise\necho '"
                           + json.dumps({"row": "new", "unit": "ns", "plait": 1, "peers": {"a": 3}, "reach": 2}) + "'\n")
        program.chmod(0o755)
        rows, good = report.run("probe", [str(program)], None)
        self.assertTrue(good)
        self.assertEqual([("new", 3.0, True)], [(row["row"], row["ratio"], row["met"]) for row in rows])


if __name__ == "__main__":
    support.main()
