# SPDX-License-Identifier: Apache-2.0
# limit: 120
"""The real binary against a real server: keep-alive, TLS, HTTP/2 on offer, gzip, redirects, bursts of 429 and 503."""

import pathlib
import tempfile

import support
from nginx import Nginx

FILES = 2000


class RealServer(support.CommandTest):
    @classmethod
    def setUpClass(cls):
        cls.holder = tempfile.TemporaryDirectory(prefix="plait-nginx-")
        cls.nginx = Nginx(pathlib.Path(cls.holder.name) / "server", files=FILES)
        cls.nginx.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.nginx.stop()
        cls.holder.cleanup()

    def setUp(self):
        super().setUp()
        self.nginx.forget()

    def small(self, count, folder="small", **where):
        return self.list_file(*[self.nginx.url(f"/{folder}/{number}.bin", **where) for number in range(count)])

    def assert_small(self, count, result):
        self.assert_files([f"{number}.bin" for number in range(count)], result)
        for number in range(count):
            self.assertEqual(self.nginx.content(number), (self.dir / f"{number}.bin").read_bytes(), f"{number}.bin")

    def connections(self):
        return len({line[0] for line in self.nginx.log()})

    @support.each_executor
    def test_TwoThousandSmallFiles(self, executor):
        self.nginx.forget()
        count = FILES if executor in ("loop", "loops") else 500
        result = self.fetch("-x", executor, "-i", self.small(count), watchdog=120)
        self.assert_status(0, result)
        self.assert_small(count, result)
        log = self.nginx.log()
        self.assertEqual(count, len(log))
        self.assertLessEqual(self.connections(), {"serial": 1, "loop": 8}.get(executor, 64), "keep-alive")

    @support.each_executor
    def test_OverTlsWithHttp2OnOffer(self, executor):
        self.nginx.forget()
        result = self.fetch("-x", executor, "--cacert", self.nginx.authority.ca, "-i", self.small(100, tls=True))
        self.assert_status(0, result)
        self.assert_small(100, result)
        self.assertEqual({"HTTP/1.1"}, {line[3] for line in self.nginx.log()}, "asked for HTTP/1.1 by ALPN")

    def test_TlsConnectionsAreKept(self):
        result = self.fetch("--cacert", self.nginx.authority.ca, "-c", "4", "-i", self.small(200, tls=True))
        self.assert_status(0, result)
        self.assertLessEqual(self.connections(), 4)

    def test_AServerThatEndsConnectionsEveryTenRequests(self):
        result = self.fetch("--retries", "0", "-i", self.small(500, other=True))
        self.assert_status(0, result)
        self.assert_small(500, result)
        self.assertEqual({1}, {row["attempts"] for row in result.rows})

    def test_Redirects(self):
        for folder in ("moved", "for-good"):
            with self.subTest(folder=folder):
                self.empty_directory()
                result = self.fetch("-i", self.small(50, folder=folder))
                self.assert_status(0, result)
                self.assert_small(50, result)
                self.assertTrue(all("/small/" in row["effective_url"] for row in result.rows))

    def test_UpgradeAndDowngrade(self):
        authority = self.nginx.authority.ca
        result = self.fetch("--cacert", authority, self.nginx.url("/upgrade/?n=3.bin"))
        self.assert_status(0, result)
        self.assertEqual(self.nginx.content(3), (self.dir / self.files()[0]).read_bytes())
        self.empty_directory()
        result = self.fetch("--cacert", authority, self.nginx.url("/downgrade/x", tls=True))
        self.assert_status(1, result)
        self.assert_reason("redirect", result.rows[0], result)

    def test_NotFoundAndGone(self):
        result = self.fetch(self.nginx.url("/small/none.bin"), self.nginx.url("/gone/x"), self.nginx.url("/small/1.bin"))
        self.assert_status(1, result)
        self.assertEqual([404, 410, 200], [row["status"] for row in result.rows])
        self.assert_files(["1.bin"], result)

    def test_ABurstOf429And503IsRiddenOut(self):
        """The server lets 20 a second through; all arrive in the end."""
        for folder in ("busy", "slow"):
            with self.subTest(folder=folder):
                self.empty_directory()
                self.nginx.forget()
                result = self.fetch("--retries", "12", "-i", self.small(60, folder=folder), watchdog=120)
                self.assert_status(0, result)
                self.assert_small(60, result)
                self.assertIn({"busy": "503", "slow": "429"}[folder], {line[2] for line in self.nginx.log()},
                              "the burst never came")

    def test_ATextIsStoredAsItIsAlthoughGzipIsOnOffer(self):
        result = self.fetch(self.nginx.url("/text.txt"))
        self.assert_status(0, result)
        self.assertEqual(b"the same line again and again\n" * 100, (self.dir / "text.txt").read_bytes())

    def test_ACompressedAnswerIsStoredAsServed(self):
        result = self.fetch("--header", "Accept-Encoding: gzip", self.nginx.url("/text.txt"))
        self.assert_status(0, result)
        self.assertEqual(b"\x1f\x8b", (self.dir / "text.txt").read_bytes()[:2])

    def test_DiscardWritesNothing(self):
        result = self.fetch("--discard", "-c", "32", "--per-host", "0", "-i", self.small(FILES))
        self.assert_status(0, result)
        self.assert_files([], result)
        self.assertEqual(FILES * self.nginx.size, sum(row["bytes"] for row in result.rows))


if __name__ == "__main__":
    support.main()
