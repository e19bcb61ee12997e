# SPDX-License-Identifier: Apache-2.0
"""A certificate authority of the tests' own, made by openssl when needed; nothing of it outlives the test."""

import pathlib
import ssl
import subprocess


class Authority:
    """Files in a folder: ca.pem; leaf(name, subject alternatives) makes name.pem and name.key signed by it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        self.key = self.folder / "ca.key"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-subj", "/CN=plait tests", "-keyout", self.key, "-out", self.ca)

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")

    def leaf(self, name="server", alternatives="IP:127.0.0.1,DNS:localhost", days=2):
        request, key, pem = (self.folder / f"{name}.{end}" for end in ("csr", "key", "pem"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                     "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        self.openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.key, "-CAcreateserial",
                     "-days", days, "-extfile", extensions, "-out", pem)
        return pem, key

    def context(self, name="server", **options):
        pem, key = self.leaf(name, **options)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem, key)
        context.set_alpn_protocols(["http/1.1"])
        return context
