"""Certificates for tests, made with the openssl command, and client contexts that trust them."""

import dataclasses
import pathlib
import ssl
import subprocess


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate and its key, as files."""

    certificate: pathlib.Path
    key: pathlib.Path

    @property
    def directives(self) -> str:
        return f"ssl_certificate {self.certificate}; ssl_certificate_key {self.key};"


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, directory: pathlib.Path, name: str = "Test Authority") -> None:
        self.directory, self._serial = directory, 0
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o755)
        self.pair = Pair(directory / "ca.crt", directory / "ca.key")
        _key(self.pair.key, "ec")
        _openssl("req", "-new", "-x509", "-key", self.pair.key, "-out", self.pair.certificate, "-days", "30", "-subj", f"/CN={name}",
                 "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, *names: str, kind: str = "ec", usage: str = "serverAuth", days: int = 30,
              responder: str = "") -> Pair:
        """A certificate for the names (the first is its subject too), signed by this authority; kind is ec or rsa. `responder`: the URL of its OCSP responder."""
        self._serial += 1
        stem = self.directory / f"{self._serial}"
        pair, request, extensions = Pair(stem.with_suffix(".crt"), stem.with_suffix(".key")), stem.with_suffix(".csr"), stem.with_suffix(".ext")
        _key(pair.key, kind)
        _openssl("req", "-new", "-key", pair.key, "-out", request, "-subj", f"/CN={names[0]}")
        alternatives = ",".join(("IP:" if name.replace(".", "").isdigit() else "DNS:") + name for name in names)
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage={usage}\n" +
                              (f"authorityInfoAccess=OCSP;URI:{responder}\n" if responder else ""))
        _openssl("x509", "-req", "-in", request, "-CA", self.pair.certificate, "-CAkey", self.pair.key, "-set_serial",
                 str(self._serial + 1000), "-days", str(days), "-extfile", extensions, "-out", pair.certificate)
        return pair

    def client(self, *, versions: tuple[str, str] | None = None, alpn: list[str] | None = None, certificate: Pair | None = None,
               ciphers: str | None = None) -> ssl.SSLContext:
        """A client context that trusts this authority only."""
        context = ssl.create_default_context(cafile=str(self.pair.certificate))
        if versions:
            context.minimum_version = getattr(ssl.TLSVersion, versions[0])
            context.maximum_version = getattr(ssl.TLSVersion, versions[1])
        if alpn:
            context.set_alpn_protocols(alpn)
        if certificate:
            context.load_cert_chain(certificate.certificate, certificate.key)
        if ciphers:
            context.set_ciphers(ciphers)
        return context


def server_context(pair: Pair, *, client_authority: Authority | None = None) -> ssl.SSLContext:
    """A context for a TLS origin; with an authority it demands client certificates of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if client_authority:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_authority.pair.certificate)
    return context


def _key(path: pathlib.Path, kind: str) -> None:
    if kind == "ec":
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    else:
        _openssl("genrsa", "-out", path, "2048")
    path.chmod(0o600)


def _openssl(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
