# SPDX-License-Identifier: Apache-2.0
# limit: 60
"""The command line: help, version, what is refused as wrong usage, and that each option does something."""

import re

import support
from certificates import Authority
from server import Server, body_of, whole

OPTIONS = ["--input", "--dir", "--executor", "--workers", "--connections", "--per-host", "--retries", "--connect-timeout",
           "--stall-timeout", "--timeout", "--max-size", "--max-redirects", "--overwrite", "--header", "--user-agent",
           "--cacert", "--insecure", "--report", "--discard", "--mark", "--demo", "--json", "--quiet", "--help"]
SHORT = {"-i": "--input", "-d": "--dir", "-x": "--executor", "-w": "--workers", "-c": "--connections", "-q": "--quiet",
         "-h": "--help"}


class Help(support.CommandTest):
    def test_HelpIsCompleteAndOnStdout(self):
        result = self.run_plait("--help")
        self.assert_status(0, result)
        self.assertEqual(b"", result.stderr)
        for option in OPTIONS:
            self.assertRegex(result.out, rf"(?<![\w-]){option}(?![\w-])")
        for short, long in SHORT.items():
            self.assertRegex(result.out, rf"{short}\b,\s*{long}\b", result)
        for executor in support.EXECUTORS:
            self.assertIn(executor, result.out)
        for default in ("64", "8", "3", "10", "30"):
            self.assertIn(default, result.out)

    def test_HelpFitsATerminalAndHasNoTabs(self):
        lines = self.run_plait("--help").out.splitlines()
        self.assertLessEqual(max(map(len, lines)), 132, max(lines, key=len))

    def test_TheProgramsOwnHelpAndVersion(self):
        result = self.run_plait("--help", command=None)
        self.assert_status(0, result)
        self.assertIn("fetch", result.out)
        version = self.run_plait("--version", command=None)
        self.assert_status(0, version)
        self.assertRegex(version.out, r"\d+\.\d+\.\d+")

    def test_HelpNamesTheExitStatuses(self):
        text = self.run_plait("--help").out + self.run_plait("--help", command=None).out
        self.assertRegex(text, r"\b130\b")


class WrongUsage(support.CommandTest):
    def test_IsStatus2WithAMessageAndNothingOnStdout(self):
        url = "http://127.0.0.1:1/x"
        wrong = [
            [],                                                     # no URL at all
            ["--no-such-option", url],
            ["-x", "nope", url],
            ["-x", "", url],
            ["-w", "0", url], ["-w", "-1", url], ["-w", "many", url],
            ["-c", "0", url], ["-c", "-3", url], ["-c", "1.5", url], ["-c", "99999999999999999999", url],
            ["--per-host", "-1", url],
            ["--retries", "-1", url], ["--retries", "x", url],
            ["--max-redirects", "-1", url],
            ["--max-size", "10X", url], ["--max-size", "-1", url], ["--max-size", "", url], ["--max-size", "K", url],
            ["--max-size", "99999999999G", url],
            ["--timeout", "-1", url], ["--timeout", "soon", url], ["--timeout", "nan", url],
            ["--connect-timeout", "x", url], ["--stall-timeout", "-5", url],
            ["--mark", "colour", url],
            ["--header", "no colon", url], ["--header", ": empty name", url], ["--header", "", url],
            ["--header", "X-A: b\r\nX-Injected: yes", url], ["--header", "X-A: b\nX: y", url], ["--header", "X A: b", url],
            ["--header", "X-\u00e9: b", url], ["--header", "X-A: \x01", url],
            ["--user-agent", "a\r\nX-Injected: yes", url],
            ["--dir"], ["-i"],
        ]
        for arguments in wrong:
            with self.subTest(arguments=arguments):
                result = self.run_plait(*arguments, cwd=self.dir)
                self.assert_status(2, result)
                self.assertEqual(b"", result.stdout, result)
                self.assertNotEqual(b"", result.stderr.strip(), result)
                self.assert_no_raw_control(result.stderr, result)
                self.assert_files([], result)

    def test_AnUnknownExecutorIsToldTheValidOnes(self):
        result = self.run_plait("-x", "nope", "http://127.0.0.1:1/x")
        for executor in support.EXECUTORS:
            self.assert_says(executor, result)

    def test_AnUnknownCommand(self):
        for words in (["nope"], []):
            result = self.run_plait(*words, command=None)
            self.assert_status(2, result)
            self.assert_says("fetch", result)


class Options(support.CommandTest):
    def setUp(self):
        super().setUp()
        server = Server(whole)
        self.server = server.__enter__()
        self.addCleanup(server.stop)

    def test_HeadersAreSentAsGiven(self):
        self.fetch("--header", "X-One: 1", "--header", "X-Two:two: and more", "--user-agent", "tester/2",
                   "--header", "X-Empty:", self.server.url("/x"))
        request, = self.server.seen()
        self.assertEqual("1", request.headers["x-one"])
        self.assertEqual("two: and more", request.headers["x-two"])
        self.assertEqual("tester/2", request.headers["user-agent"])

    def test_TheDefaultUserAgentNamesPlait(self):
        self.fetch(self.server.url("/x"))
        self.assertRegex(self.server.seen()[0].headers["user-agent"], r"(?i)^plait/\d")

    def test_SizesArePowersOf1024(self):
        self.server.handler = lambda c, r: c.answer(b"x" * int(r.path.strip("/"))) or True
        for option, most in (("1000", 1000), ("1K", 1024), ("1k", 1024), ("2M", 2 << 20)):
            with self.subTest(option=option):
                for size, status in ((most, 0), (most + 1, 1)):
                    self.empty_directory()
                    result = self.fetch("--max-size", option, self.server.url(f"/{size}"))
                    if option == "1k" and result.status == 2:
                        continue                    # small letters need not be known
                    self.assert_status(status, result)
                    if status:
                        self.assert_reason("too_large", result.rows[0], result)
                        self.assertEqual(1, result.rows[0]["attempts"], "too large is final")

    def test_FractionsOfSeconds(self):
        self.server.handler = lambda c, r: c.stall()
        result = self.fetch("--stall-timeout", "0.3", "--retries", "0", self.server.url("/x"))
        self.assert_reason("stall", result.rows[0], result)

    def test_LongOptionsTakeEqualsSigns(self):
        result = self.run_plait(f"--dir={self.dir}", "--executor=serial", "--retries=0", self.server.url("/x"))
        self.assert_status(0, result)
        self.assert_files(["x"], result)

    def test_TheProxyOfTheEnvironmentIsHonoured(self):
        result = self.fetch("--retries", "0", "http://example.invalid/through",
                            env={"http_proxy": f"http://127.0.0.1:{self.server.port}", "no_proxy": ""})
        self.assert_status(0, result)
        self.assertEqual("http://example.invalid/through", self.server.seen()[0].target)

    def test_TheCertificatesOfTheEnvironmentAreTrusted(self):
        authority, stranger = Authority(self.path / "ca"), Authority(self.path / "stranger")
        with Server(whole, context=authority.context()) as server:
            for name, file, options, status in (("SSL_CERT_FILE", authority.ca, [], 0), ("CURL_CA_BUNDLE", authority.ca, [], 0),
                                                ("SSL_CERT_FILE", stranger.ca, [], 1),
                                                ("SSL_CERT_FILE", stranger.ca, ["--cacert", authority.ca], 0)):
                with self.subTest(name=name, status=status):
                    self.empty_directory()
                    result = self.fetch("--retries", "0", *options, server.url("/x"), env={name: str(file)})
                    self.assert_status(status, result)

    def test_QuietSaysNothingOfASuccessAndLittleOfAFailure(self):
        result = self.fetch("--quiet", self.server.url("/x"))
        self.assertEqual(b"", result.stderr)
        failed = self.fetch("-q", self.server.url("/x"))
        self.assert_status(1, failed)

    def test_TheSummaryCountsByReason(self):
        self.server.handler = lambda c, r: c.answer(b"", "404 Not Found") or True
        result = self.fetch("-i", self.list_file(*[self.server.url(f"/gone{i}") for i in range(30)]))
        self.assert_status(1, result)
        self.assert_says(r"\b30\b", result)
        named = {found for found in re.findall(r"/gone\d+", result.err)}
        self.assertTrue(1 <= len(named) <= 12, f"about five failures of each reason, not all\n{result}")

    @support.each_executor
    def test_AllFailedIsStatus1(self, executor):
        self.server.handler = lambda c, r: c.answer(b"", "404 Not Found") or True
        result = self.fetch("-x", executor, self.server.url("/a"), self.server.url("/b"))
        self.assert_status(1, result)
        self.assert_files([], result)

    @support.each_executor
    def test_EveryExecutorGivesTheSameFiles(self, executor):
        self.server.forget()
        paths = [f"/d/{i}.bin" for i in range(100)]
        result = self.fetch("-x", executor, "-w", "4", "-i", self.list_file(*[self.server.url(path) for path in paths]))
        self.assert_status(0, result)
        self.assert_files([path[3:] for path in paths], result)
        for path in paths:
            self.assertEqual(body_of(path), (self.dir / path[3:]).read_bytes())
        self.assertEqual(100, len(self.server.seen()))


if __name__ == "__main__":
    support.main()
