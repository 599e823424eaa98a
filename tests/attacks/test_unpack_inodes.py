"""U5: devices, pipes, setuid, capabilities, ids: what a file of an image may be on this machine."""

import os
import stat
import struct
import tarfile
from pathlib import Path

import pytest

from kho.client.errors import ClientError
from kho.client.images.image import ImageConfig
from kho.client.unpacking.bundle import runtime_spec
from kho.client.unpacking.bundle_user import User, user_of
from kho.client.unpacking.looks import Looks
from kho.client.unpacking.rootfs import Rootfs
from kho.layers.errors import LayerRefused
from kho.layers.limits import DEFAULT
from kho.layers.tar import TarReader
from tests.client.layers import (
    Member,
    applied,
    device,
    fifo,
    file,
    folder,
    layer,
    symlink,
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make devices")
# VFS_CAP_REVISION_2, effective, cap_net_raw.
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0).decode("latin-1")
XATTRS = {
    "user.note": "kept",
    "security.capability": CAPABILITY,
    "security.selinux": "system_u:object_r:shadow_t:s0",
    "trusted.other": "x",
    "trusted.overlay.opaque": "y",
    "trusted.overlay.redirect": "/etc",
    "user.overlay.opaque": "y",
    "user.rootlesscontainers": "lie",
}
INODES = layer(
    device("null", mode=0o666, number=(1, 3)),
    device("disk", tarfile.BLKTYPE, mode=0o660, number=(8, 0)),
    fifo("pipe", mode=0o622),
    file("su", b"#!", mode=0o4755),
    file("mail", b"#!", mode=0o2755),
    folder("shared", 0o3777),
    file("ping", b"#!", mode=0o755, xattrs=XATTRS),
    folder("marked", xattrs=XATTRS),
    symlink("link", "su", xattrs=XATTRS),
    file("theirs", uid=1000, gid=70000),
    folder("home", uid=1000, gid=0),
)


def attributes(path: Path) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {one: os.getxattr(path, one, follow_symlinks=False) for one in names}


def test_U5_rootless_has_no_devices_and_no_privileges(tmp_path: Path) -> None:
    root = tmp_path / "root"
    rootfs, looks = applied(root, INODES)
    for name in ("null", "disk"):
        status = (root / name).lstat()
        assert stat.S_ISREG(status.st_mode)
        assert status.st_size == 0
    assert rootfs.stand_ins == 2
    assert stat.S_ISFIFO((root / "pipe").lstat().st_mode)
    assert stat.S_IMODE((root / "pipe").lstat().st_mode) == 0o622
    assert stat.S_IMODE((root / "su").stat().st_mode) == 0o755
    assert stat.S_IMODE((root / "mail").stat().st_mode) == 0o755
    assert looks.setuid_removed == 2
    assert stat.S_IMODE((root / "shared").stat().st_mode) == 0o3777
    for name in ("ping", "marked"):
        assert attributes(root / name) == {"user.note": b"kept"}
    assert attributes(root / "link") == {}
    assert looks.left_out["security.capability"] == 2
    # As umoci notes it: protobuf, fields 1 and 2, 0xFFFFFFFF where there is nothing to note.
    assert attributes(root / "theirs") == {
        "user.rootlesscontainers": b"\x08\xe8\x07\x10\xf0\xa2\x04"
    }
    assert attributes(root / "home") == {
        "user.rootlesscontainers": b"\x08\xe8\x07\x10\xff\xff\xff\xff\x0f"
    }
    for path in root.rglob("*"):
        assert path.lstat().st_uid == os.geteuid()


def test_U5_setuid_is_kept_by_a_flag_alone(tmp_path: Path) -> None:
    _, looks = applied(tmp_path / "root", INODES, keep_setuid=True)
    assert stat.S_IMODE((tmp_path / "root/su").stat().st_mode) == 0o4755
    assert looks.setuid_removed == 0


@as_root
def test_U5_root_has_what_the_image_says_but_for_overlays(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _, looks = applied(root, INODES, rootless=False)
    null, disk = (root / "null").lstat(), (root / "disk").lstat()
    assert stat.S_ISCHR(null.st_mode)
    assert stat.S_ISBLK(disk.st_mode)
    assert (null.st_rdev, disk.st_rdev) == (os.makedev(1, 3), os.makedev(8, 0))
    assert [stat.S_IMODE(one.st_mode) for one in (null, disk)] == [0o666, 0o660]
    assert stat.S_IMODE((root / "su").stat().st_mode) == 0o4755
    for name in ("ping", "marked"):
        found = attributes(root / name)
        assert found["user.note"] == b"kept"
        assert found["trusted.other"] == b"x"
        assert not [one for one in found if "overlay" in one or "selinux" in one]
        assert "user.rootlesscontainers" not in found
    assert "security.capability" in attributes(root / "ping")
    assert {name for name in looks.left_out if "overlay" in name} == {
        "trusted.overlay.opaque",
        "trusted.overlay.redirect",
        "user.overlay.opaque",
    }
    theirs = (root / "theirs").stat()
    assert (theirs.st_uid, theirs.st_gid) == (1000, 70000)


@as_root
@pytest.mark.parametrize(
    "member",
    [
        file("x", uid=0xFFFFFFFF),
        file("x", gid=1 << 32),
        folder("x", uid=1 << 40),
        device("x", number=(1 << 12, 0)),
        symlink("x", "y", uid=0xFFFFFFFF),
    ],
    ids=lambda one: f"{one.uid}-{one.gid}-{one.device[0]}",
)
def test_U5_numbers_that_would_wrap_are_refused(tmp_path: Path, member: Member) -> None:
    with pytest.raises(LayerRefused):
        applied(tmp_path / "root", layer(member), rootless=False)


PASSWD = (
    b"root:x:0:0:root:/root:/bin/sh\n"
    b"app:x:1000:100:App:/srv:/bin/sh\n"
    b"broken:x\n\n#comment:x:1:1:::\n"
    b"huge:x:4294967296:0::/:/bin/sh\n"
)
GROUP = b"users:x:100:\nwheel:x:10:root,app\ndocker:x:998:app\nbad:x:y:app\n"


def _user(tmp_path: Path, text: str, *members: Member) -> tuple[int, int, tuple[int, ...], str]:
    (tmp_path / "root").mkdir()
    fd = os.open(tmp_path / "root", os.O_RDONLY)
    rootfs = Rootfs(fd, Looks(rootless=True, keep_setuid=False), DEFAULT)
    try:
        (tmp_path / "tar").write_bytes(layer(*members))
        with (tmp_path / "tar").open("rb") as tar:
            rootfs.apply(TarReader(tar))
        found = user_of(text, rootfs)
    finally:
        rootfs.close()
        os.close(fd)
    return found.uid, found.gid, found.additional, found.home


FILES = (file("etc/passwd", PASSWD), file("etc/group", GROUP))


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("", (0, 0, (0, 10), "/root")),
        ("app", (1000, 100, (100, 10, 998), "/srv")),
        ("1000", (1000, 100, (100, 10, 998), "/srv")),
        ("app:wheel", (1000, 10, (), "/srv")),
        ("1234", (1234, 0, (), "/")),
        ("1234:5", (1234, 5, (), "/")),
        (":5", (0, 5, (), "/root")),
    ],
)
def test_U5_users_are_looked_up_in_the_image(
    tmp_path: Path, text: str, wanted: tuple[int, int, tuple[int, ...], str]
) -> None:
    assert _user(tmp_path, text, *FILES) == wanted


@pytest.mark.parametrize(
    "text", ["nobody", "4294967296", "2147483648", "huge", "-1", "0:4294967296", "app:none", "٣"]
)
def test_U5_users_that_would_wrap_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ClientError, match="the image runs"):
        _user(tmp_path, text, *FILES)


@pytest.mark.parametrize(
    "members",
    [
        (symlink("etc/passwd", "HOST"),),
        (symlink("etc", "HOST/.."),),
        (fifo("etc/passwd"),),
        (folder("etc/passwd"),),
        (symlink("etc/passwd", "passwd"),),
        (),
    ],
)
def test_U5_users_are_never_looked_up_elsewhere(
    tmp_path: Path, members: tuple[Member, ...]
) -> None:
    (tmp_path / "passwd").write_text("app:x:7:7::/:/bin/sh\n")
    here = [
        Member(**{**vars(one), "link": one.link.replace("HOST", str(tmp_path / "passwd"))})
        for one in members
    ]
    with pytest.raises(ClientError, match="whom its /etc/passwd does not have"):
        _user(tmp_path, "app", *here)


def test_U5_users_are_found_behind_links_inside(tmp_path: Path) -> None:
    members = (symlink("etc", "/usr/etc"), file("usr/share/pw", PASSWD))
    link = symlink("usr/etc/passwd", "../share/pw")
    assert _user(tmp_path, "app", *members, link)[:2] == (1000, 100)


def test_U5_rootless_bundles_have_one_id() -> None:
    config = ImageConfig.parse(b'{"architecture": "amd64", "os": "linux"}')
    spec = runtime_spec(config, User(0, 0, (), "/root"), rootless=True)
    assert spec["linux"]["uidMappings"] == [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    assert {"type": "user"} in spec["linux"]["namespaces"]
    assert spec["process"]["noNewPrivileges"] is True
