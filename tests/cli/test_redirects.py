# SPDX-License-Identifier: Apache-2.0
# limit: 60
"""Redirects are fetch's own: schemes, downgrades, secrets, limits, names. And TLS: --cacert, --insecure."""

import support
from certificates import Authority
from server import Server, body_of, by_path, whole


def to(location, code=302):
    def answer(connection, request):
        connection.answer(b"moved", f"{code} Moved", [f"Location: {location}"])
        return True
    return answer


class Secrets(support.CommandTest):
    """When scheme, host or port changes, every --header is dropped but User-Agent and Accept, and the userinfo too."""

    HEADERS = ["--header", "Authorization: Bearer s3cret", "--header", "Cookie: id=s3cret", "--header", "X-Api-Key: s3cret",
               "--header", "Accept: text/plain", "--user-agent", "tester/1"]

    @support.each_executor
    def test_NoSecretGoesToAnotherPort(self, executor):
        with Server(whole) as other, Server(by_path({"/start": to(other.url("/end"))})) as first:
            result = self.fetch("-x", executor, *self.HEADERS, first.url("/start", userinfo="me:s3cret@"))
            sent, = first.seen()
            arrived, = other.seen()
        self.assert_status(0, result)
        self.assertEqual("s3cret", sent.headers["x-api-key"])
        self.assertEqual("id=s3cret", sent.headers["cookie"])
        self.assertNotIn(b"s3cret", arrived.raw, f"a secret went to another port\n{result}")
        self.assertNotIn("authorization", arrived.headers)
        self.assertNotIn("cookie", arrived.headers)
        self.assertNotIn("x-api-key", arrived.headers)
        self.assertEqual("text/plain", arrived.headers["accept"])
        self.assertEqual("tester/1", arrived.headers["user-agent"])

    def test_SecretsStayGoneOnTheWayBack(self):
        """There and back again: what was dropped at the first crossing stays dropped, or is at least not added twice."""
        with Server(by_path({"/back": whole})) as other:
            first = Server(by_path({"/end": whole}))
            other.handler = to(first.url("/end"))
            first.handler = by_path({"/start": to(other.url("/back")), "/end": whole})
            with first:
                result = self.fetch(*self.HEADERS, first.url("/start"))
                crossing, = other.seen()
        self.assert_status(0, result)
        self.assertNotIn(b"s3cret", crossing.raw)

    def test_AHeaderStaysOnTheSameOrigin(self):
        with Server(by_path({"/start": to("/end"), "/end": whole})) as server:
            result = self.fetch(*self.HEADERS, server.url("/start"))
            _, end = server.seen()
        self.assert_status(0, result)
        self.assertEqual("s3cret", end.headers["x-api-key"])
        self.assertEqual("Bearer s3cret", end.headers["authorization"])

    def test_AnotherNameForTheSameHostIsAnotherOrigin(self):
        with Server(by_path({"/end": whole})) as server:
            server.handler = by_path({"/start": to(f"http://localhost:{server.port}/end"), "/end": whole})
            result = self.fetch(*self.HEADERS, server.url("/start"))
            requests = server.seen("/end")
        self.assert_status(0, result)
        self.assertNotIn(b"s3cret", requests[0].raw)

    def test_UserinfoIsSentButNotTold(self):
        """The report's url stays as given, since it is the key; no message repeats the password."""
        with Server(by_path({"/ok": whole})) as server:
            good, bad = (server.url(path, userinfo="me:s3cret@") for path in ("/ok", "/missing"))
            result = self.fetch(good, bad)
            sent = server.seen("/ok")[0]
        self.assert_status(1, result)
        self.assertTrue(sent.headers["authorization"].startswith("Basic "))
        self.assertNotIn("s3cret", result.err)
        self.assertEqual([good, bad], [row["url"] for row in result.rows])
        for row in result.rows:
            self.assertNotIn("s3cret", str(row["effective_url"]))
            self.assertNotIn("s3cret", str(row["error"]))

    def test_AUserinfoInTheLocationIsNotTold(self):
        with Server(by_path({})) as server:
            server.handler = by_path({"/start": to(f"http://me:s3cret@{server.host}:{server.port}/missing")})
            result = self.fetch("--retries", "0", server.url("/start"))
        self.assert_status(1, result)
        self.assertNotIn("s3cret", result.err)
        self.assertNotIn("s3cret", str(result.rows[0]["error"]) + str(result.rows[0]["effective_url"]))

    def test_NoCookieIsKept(self):
        def sets(connection, request):
            connection.answer(b"x", headers=["Set-Cookie: track=1; Path=/"])
            return True
        with Server(sets) as server:
            self.fetch("-c", "1", server.url("/a"), server.url("/b"))
            self.assertEqual([None, None], [request.headers.get("cookie") for request in server.seen()])


class Ways(support.CommandTest):
    def test_TheNameComesFromTheUrlThatWasGiven(self):
        with Server(by_path({"/given": to("/evil-name.sh"), "/evil-name.sh": whole})) as server:
            result = self.fetch(server.url("/given"))
            self.assertEqual(server.url("/evil-name.sh"), result.rows[0]["effective_url"])
        self.assert_status(0, result)
        self.assert_files(["given"], result)

    def test_MaxRedirectsIsTheLimit(self):
        def chain(connection, request):
            step = int(request.path.strip("/"))
            connection.answer(b"", "302 Found", [f"Location: /{step - 1}"]) if step else whole(connection, request)
            return True
        with Server(chain) as server:
            for limit, steps, status in ((0, 0, 0), (0, 1, 1), (3, 3, 0), (3, 4, 1), (25, 25, 0)):
                with self.subTest(limit=limit, steps=steps):
                    server.forget()
                    self.empty_directory()
                    result = self.fetch("--max-redirects", str(limit), server.url(f"/{steps}"))
                    self.assert_status(status, result)
                    if status:
                        self.assert_reason("redirect", result.rows[0], result)
                        self.assertEqual(limit + 1, len(server.seen()), "requests sent")

    def test_ALoopOfTwoEnds(self):
        with Server(by_path({"/a": to("/b"), "/b": to("/a")})) as server:
            result = self.fetch(server.url("/a"))
            self.assertEqual(11, len(server.seen()), "a redirect failure is not retried")
        self.assert_status(1, result)
        self.assert_reason("redirect", result.rows[0], result)

    def test_ARedirectToAnotherHostObeysThatHostsLimit(self):
        """Twelve items of one host all lead to another, which takes one connection at a time."""
        def slow(connection, request):
            connection.pause(0.02)
            return whole(connection, request)
        with Server(slow) as other, Server(lambda c, r: to(other.url(r.path))(c, r)) as first:
            urls = [first.url(f"/{i}") for i in range(12)]
            result = self.fetch("--per-host", "1", *urls)
            self.assertEqual(12, len(other.seen()))
            self.assertEqual(1, other.most_active, f"requests at once on the second host\n{result}")
        self.assert_status(0, result)


class Tls(support.CommandTest):
    @classmethod
    def setUpClass(cls):
        import tempfile
        cls.holder = tempfile.TemporaryDirectory(prefix="plait-ca-")
        cls.authority = Authority(cls.holder.name)
        cls.context = cls.authority.context()

    @classmethod
    def tearDownClass(cls):
        cls.holder.cleanup()

    @support.each_executor
    def test_OwnAuthorityByCacert(self, executor):
        with Server(whole, context=self.context) as server:
            result = self.fetch("-x", executor, "--cacert", self.authority.ca, server.url("/x"))
        self.assert_status(0, result)
        self.assertEqual(body_of("/x"), (self.dir / "x").read_bytes())

    @support.each_executor
    def test_AnUnknownAuthorityIsRefusedAndNotRetried(self, executor):
        with Server(whole, context=self.context) as server:
            result = self.fetch("-x", executor, server.url("/x"))
            self.assertEqual([], server.seen(), "a request was sent")
        self.assert_status(1, result)
        self.assert_reason("tls", result.rows[0], result)
        self.assertLessEqual(result.rows[0]["attempts"], 1)
        self.assert_files([], result)

    def test_AWrongNameIsRefused(self):
        context = self.authority.context("wrong", alternatives="DNS:example.org")
        with Server(whole, context=context) as server:
            result = self.fetch("--cacert", self.authority.ca, server.url("/x"))
        self.assert_status(1, result)
        self.assert_reason("tls", result.rows[0], result)

    def test_InsecureWarnsEachTime(self):
        with Server(whole, context=self.context) as server:
            result = self.fetch("--insecure", server.url("/x"))
            self.assert_status(0, result)
            self.assert_says("(?i)insecure|not (checked|verified)", result)
            self.empty_directory()
            quiet = self.fetch("--insecure", "--quiet", server.url("/x"))
            self.assert_status(0, quiet)

    def test_ADowngradeIsRefused(self):
        with Server(whole) as plain, Server(to(plain.url("/end")), context=self.context) as safe:
            result = self.fetch("--cacert", self.authority.ca, safe.url("/start"))
            self.assertEqual([], plain.seen(), "the plain server was asked")
        self.assert_status(1, result)
        self.assert_reason("redirect", result.rows[0], result)

    def test_AnUpgradeIsFollowed(self):
        with Server(whole, context=self.context) as safe, Server(to(safe.url("/end"))) as plain:
            result = self.fetch("--cacert", self.authority.ca, plain.url("/start"))
        self.assert_status(0, result)

    def test_APlainServerOnATlsPortIsATlsFailure(self):
        with Server(lambda c, r: c.send("HTTP/1.1 200 OK\r\n\r\n")) as plain:
            result = self.fetch("--retries", "0", "--stall-timeout", "2", "--connect-timeout", "2",
                                plain.url("/x").replace("http:", "https:"))
        self.assert_status(1, result)
        self.assert_reason({"tls", "connect", "stall", "timeout"}, result.rows[0], result)

    def test_ACacertThatIsNotThereIsToldBeforeTheRun(self):
        with Server(whole, context=self.context) as server:
            result = self.fetch("--cacert", self.path / "none.pem", server.url("/x"))
        self.assertIn(result.status, (1, 2, 3), result)
        self.assert_says("none.pem", result)


if __name__ == "__main__":
    support.main()
