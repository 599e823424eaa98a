"""SQLite is refused on the file systems of other machines."""

from pathlib import Path

import pytest

from kho.server.database.drivers.local_disk import require_local
from kho.server.database.errors import UnusableDatabase

MOUNTS = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /srv rw shared:9 - nfs4 nas:/srv rw,vers=4.2
31 30 8:17 / /srv/fast rw - xfs /dev/sdb1 rw
32 22 0:41 / /mnt/my\040share rw shared:10 master:2 - cifs //nas/share rw
33 22 8:33 / /data rw - ext4 /dev/sdc1 rw
34 33 0:42 / /data rw - fuse.sshfs host:/data rw
""".strip()


@pytest.fixture
def mounts(tmp_path: Path) -> str:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    return str(tmp_path / "mountinfo")


@pytest.mark.parametrize("path", ["/kho.db", "/var/kho.db", "/srv/fast/kho.db", "/srvx/kho.db"])
def test_local(path: str, mounts: str) -> None:
    require_local(path, mounts=mounts)


@pytest.mark.parametrize(
    "path", ["/srv/kho.db", "/srv/faster/kho.db", "/mnt/my share/a/kho.db", "/data/kho.db"]
)
def test_remote(path: str, mounts: str) -> None:
    with pytest.raises(UnusableDatabase, match="network file system"):
        require_local(path, mounts=mounts)


def test_where_nobody_can_say(tmp_path: Path) -> None:
    require_local("/srv/kho.db", mounts=str(tmp_path / "none"))


def test_this_machine(tmp_path: Path) -> None:
    require_local(str(tmp_path / "kho.db"))
