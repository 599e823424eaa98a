"""A private OpenLDAP server for tests: own folder, loopback only, gone afterwards."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import trustme

START_SECONDS = 20.0
SUFFIX = "dc=kho,dc=test"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
SEARCHER = f"cn=search,{SUFFIX}"
SEARCHER_PASSWORD = "search-secret"
SCHEMAS = Path("/etc/ldap/schema")
MODULES = Path("/usr/lib/ldap")

# `allow bind_anon_cred`: a bind with a DN and no password succeeds, as in Active Directory.
CONFIGURATION = """
include {schemas}/core.schema
include {schemas}/cosine.schema
include {schemas}/inetorgperson.schema
modulepath {modules}
moduleload back_mdb
pidfile {folder}/pid
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
allow bind_anon_cred
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{searcher}" read by anonymous auth by * none
database mdb
suffix "{suffix}"
directory {folder}/data
maxsize 16777216
"""


class SlapdMissing(Exception):
    """No OpenLDAP server on this machine."""


def entry(dn: str, *classes: str, **attributes: str | list[str]) -> str:
    """An entry in LDIF."""

    def line(name: str, value: str) -> str:
        return f"{name}:: {base64.b64encode(value.encode()).decode()}"

    lines = [line("dn", dn), *(line("objectClass", one) for one in classes)]
    for name, values in attributes.items():
        lines += [line(name, one) for one in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n\n"


def person(uid: str, password: str, *, cn: str = "", below: str = PEOPLE) -> str:
    """A user."""
    dn = f"cn={cn},{below}" if cn else f"uid={uid},{below}"
    plain = cn.replace("\\", "") or uid
    return entry(dn, "inetOrgPerson", uid=uid, cn=plain, sn=uid, userPassword=password)


def group(name: str, *members: str) -> str:
    """A group of DNs."""
    return entry(f"cn={name},{GROUPS}", "groupOfNames", cn=name, member=list(members))


def ground() -> str:
    """What every directory has."""
    return (
        entry(SUFFIX, "organization", "dcObject", o="kho", dc="kho")
        + entry(
            SEARCHER,
            *("organizationalRole", "simpleSecurityObject"),
            cn="search",
            userPassword=SEARCHER_PASSWORD,
        )
        + entry(PEOPLE, "organizationalUnit", ou="people")
        + entry(GROUPS, "organizationalUnit", ou="groups")
    )


class Slapd:
    """One server; its certificate is for localhost, not for 127.0.0.1."""

    def __init__(self, *entries: str) -> None:
        self._program = _program("slapd")
        self._entries = ground() + "".join(entries)
        self.folder = Path(tempfile.mkdtemp(prefix="kho-slapd-"))
        self.ca = self.folder / "ca.pem"
        self.port, self.tls_port = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._make()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def settings(self, **changed: Any) -> dict[str, Any]:
        """Settings of khod for this directory, by key."""
        settings = {
            "url": f"ldap://localhost:{self.port}",
            "ca": str(self.ca),
            "bind_dn": SEARCHER,
            "bind_password": SEARCHER_PASSWORD,
            "user_base": PEOPLE,
            "group_base": GROUPS,
        }
        return {f"ldap.{key}": value for key, value in {**settings, **changed}.items()}

    def start(self) -> None:
        """Start, and wait until it answers."""
        urls = f"ldap://127.0.0.1:{self.port}/ ldaps://127.0.0.1:{self.tls_port}/"
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-d", "0", "-h", urls, "-f", self.folder / "slapd.conf"],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.tls_port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise RuntimeError(f"slapd did not start: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """Stop the server, also one that was paused."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections are taken by the system, and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def change(self, ldif: str) -> None:
        """Change entries behind the program's back, as ldapmodify does."""
        url = f"ldap://127.0.0.1:{self.port}"
        command = [_program("ldapmodify"), "-x", "-H", url, "-D", f"cn=root,{SUFFIX}", "-w", "root"]
        subprocess.run(command, input=ldif.encode(), check=True, capture_output=True)

    def _make(self) -> None:
        (self.folder / "data").mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.ca))
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(str(self.folder / "server.key"))
        certificate.cert_chain_pems[0].write_to_path(str(self.folder / "server.pem"))
        text = CONFIGURATION.format(
            schemas=SCHEMAS, modules=MODULES, folder=self.folder, suffix=SUFFIX, searcher=SEARCHER
        )
        text += f'rootdn "cn=root,{SUFFIX}"\nrootpw root\n'
        (self.folder / "slapd.conf").write_text(text)
        done = subprocess.run(
            [_program("slapadd"), "-f", self.folder / "slapd.conf"],
            input=self._entries.encode(),
            check=False,
            capture_output=True,
        )
        if done.returncode:
            raise RuntimeError(f"slapadd failed: {done.stderr.decode()}")


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin")
    if found is None or not (SCHEMAS / "core.schema").exists():
        raise SlapdMissing(
            f"{name} is not installed (Debian: apt-get install slapd ldap-utils); "
            "KHO_TEST_SLAPD=skip leaves its tests out"
        )
    return found


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
