"""What has broken out of other unpackers, as tables: a layer below, a layer, what must be so then.

Told again after containerd's TestBreakouts and umoci's tests of scoping, whiteouts and hard links.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kho.layers.errors import LayerRefused
from tests.client.layers import (
    Member,
    applied,
    canary,
    fifo,
    file,
    folder,
    hardlink,
    layer,
    symlink,
    tree,
)

Check = Callable[[Path], bool]


def content(path: str, wanted: bytes) -> Check:
    return lambda root: not (root / path).is_symlink() and (root / path).read_bytes() == wanted


def same(one: str, other: str) -> Check:
    return lambda root: os.path.samestat((root / one).lstat(), (root / other).lstat())


def different(one: str, other: str) -> Check:
    return lambda root: not same(one, other)(root)


def missing(path: str) -> Check:
    return lambda root: not os.path.lexists(root / path)


def leads(path: str, target: str) -> Check:
    return lambda root: os.readlink(root / path) == target


def is_folder(path: str) -> Check:
    return lambda root: stat.S_ISDIR((root / path).lstat().st_mode)


ETC = (folder("etc", 0o770), file("/etc/passwd", b"inside"))
UNBROKEN = content("etc/unbroken", b"unbroken")
LOCAL_IS_ETC = same("localpasswd", "etc/passwd")
USERS = content("etc/passwd", b"inside")

# Name, the layer below, the layer, what must be so in the end (none: it is refused).
Case = tuple[str, tuple[Member, ...], tuple[Member, ...], tuple[Check, ...]]
BREAKOUTS: list[Case] = [
    (
        "absolute link as parent",
        (),
        (folder("etc"), symlink("localetc", "/etc"), file("/localetc/unbroken", b"unbroken")),
        (UNBROKEN,),
    ),
    (
        "link up and out as parent",
        (),
        (
            folder("etc"),
            folder("dummy"),
            symlink("localetc", "/dummy/../etc"),
            file("/localetc/unbroken", b"unbroken"),
        ),
        (UNBROKEN,),
    ),
    (
        "link to an absolute link",
        (),
        (
            folder("etc"),
            folder("dummy"),
            symlink("/dummy/etc", "/etc"),
            symlink("localetc", "/dummy/etc"),
            file("/localetc/unbroken", b"unbroken"),
        ),
        (UNBROKEN,),
    ),
    (
        "relative link to an absolute link",
        (),
        (
            folder("etc"),
            folder("dummy"),
            symlink("/dummy/etc", "/etc"),
            symlink("localetc", "./dummy/etc"),
            file("/dummy/etc/unbroken", b"unbroken"),
        ),
        (UNBROKEN,),
    ),
    (
        "file emptied through a link",
        (),
        (
            folder("etc"),
            file("etc/emptied", b"not empty"),
            symlink("localetc", "/etc"),
            file("/localetc/emptied"),
        ),
        (content("etc/emptied", b""),),
    ),
    (
        "hard link through a relative link",
        (),
        (
            *ETC,
            folder("breakouts"),
            symlink("breakouts/d1", "../../etc"),
            hardlink("breakouts/mypasswd", "/breakouts/d1/passwd"),
        ),
        (same("breakouts/mypasswd", "etc/passwd"), USERS),
    ),
    (
        "hard link through a link down and out",
        (),
        (
            *ETC,
            folder("breakouts"),
            folder("downandout"),
            symlink("breakouts/d1", "../downandout/../../etc"),
            hardlink("breakouts/mypasswd", "/breakouts/d1/passwd"),
        ),
        (same("breakouts/mypasswd", "etc/passwd"), USERS),
    ),
    (
        "hard link through an absolute link",
        (),
        (*ETC, symlink("localetc", "/etc"), hardlink("localpasswd", "/localetc/passwd")),
        (LOCAL_IS_ETC,),
    ),
    (
        "hard link through a long relative link",
        (),
        (
            *ETC,
            symlink("localetc", "../../../../../../../etc"),
            hardlink("localpasswd", "/localetc/passwd"),
        ),
        (LOCAL_IS_ETC,),
    ),
    (
        "hard link through a link up and out",
        (),
        (
            *ETC,
            folder("upandout"),
            symlink("localetc", "upandout/../../../etc"),
            hardlink("localpasswd", "/localetc/passwd"),
        ),
        (LOCAL_IS_ETC,),
    ),
    (
        "hard link to a relative path",
        (),
        (*ETC, hardlink("localpasswd", "../../../../../etc/passwd")),
        (LOCAL_IS_ETC,),
    ),
    (
        "hard link to an absolute path",
        (),
        (*ETC, hardlink("localpasswd", "/etc/passwd")),
        (LOCAL_IS_ETC,),
    ),
    ("link in place of the root's parent", (), (*ETC, symlink("..", "/etc/")), ()),
    ("link without a name", (), (*ETC, symlink("", "/etc/")), ()),
    ("link called dot, umoci CVE-2021-29136", (), (*ETC, symlink("/.", "/etc")), ()),
    (
        "link behind a parent step",
        (),
        (
            *ETC,
            symlink("localetc/sub/..", "/etc/"),
            hardlink("/localetc/localpasswd", "/etc/passwd"),
        ),
        (same("etc/localpasswd", "etc/passwd"), leads("localetc", "/etc/")),
    ),
    (
        "folder with a slash",
        (),
        (*ETC, folder("localetc/"), hardlink("/localetc/localpasswd", "/etc/passwd")),
        (same("localetc/localpasswd", "etc/passwd"),),
    ),
    (
        "link over a folder",
        (*ETC, folder("/localetc/")),
        (symlink("localetc", "/etc"), hardlink("/localetc/localpasswd", "/etc/passwd")),
        (same("etc/localpasswd", "etc/passwd"), leads("localetc", "/etc")),
    ),
    (
        "relative link over a folder",
        (*ETC, folder("/localetc/"), file("localetc/old")),
        (symlink("localetc", "../../etc"), hardlink("/localetc/localpasswd", "/etc/passwd")),
        (same("etc/localpasswd", "etc/passwd"), missing("etc/old")),
    ),
    (
        "folder over a link",
        (*ETC, symlink("localetc", "/etc")),
        (folder("/localetc/"), hardlink("/localetc/localpasswd", "/etc/passwd")),
        (same("localetc/localpasswd", "etc/passwd"), is_folder("localetc")),
    ),
    (
        "folder over a link, file over a hard link",
        (*ETC, symlink("localetc", "etc"), hardlink("localetc/localpasswd", "/etc/passwd")),
        (folder("/localetc/"), file("/localetc/localpasswd", b"different")),
        (different("localetc/localpasswd", "etc/passwd"), USERS),
    ),
    (
        "hard link to a link that leads nowhere yet",
        (),
        (
            folder("etc", 0o770),
            symlink("localpasswd", "/etc/passwd"),
            hardlink("localpasswd-dup", "localpasswd"),
            file("/etc/passwd", b"after"),
        ),
        (same("localpasswd", "localpasswd-dup"), content("etc/passwd", b"after")),
    ),
    (
        "hard link to a relative link",
        (),
        (
            *ETC,
            symlink("passwdlink", "../../../../../etc/passwd"),
            hardlink("localpasswd", "/passwdlink"),
        ),
        (same("localpasswd", "passwdlink"), leads("localpasswd", "../../../../../etc/passwd")),
    ),
    (
        "hard link to an absolute link",
        (),
        (*ETC, symlink("passwdlink", "/etc/passwd"), hardlink("localpasswd", "/passwdlink")),
        (same("localpasswd", "passwdlink"), leads("localpasswd", "/etc/passwd")),
    ),
    (
        "hard link to a link to a file of the host, chmod (CVE-2021-32760)",
        (),
        (
            symlink("HOST/file", "HOST/etc/passwd"),
            hardlink("sketchylink", "HOST/file", mode=0o777, uid=1000),
        ),
        (lambda root: (root / "sketchylink").is_symlink(),),
    ),
    # Of our own.
    ("hard link to a file of the host", (), (hardlink("stolen", "HOST/etc/shadow"),), ()),
    ("hard link to a folder", (), (folder("etc"), hardlink("etc2", "etc")), ()),
    ("hard link to the root", (), (hardlink("etc2", "/"),), ()),
    ("hard link to itself", (), (file("a", b"a"), hardlink("./a", "a")), ()),
    ("hard link to what it replaces", (), (file("d/f", b"a"), hardlink("d", "d/f")), ()),
    ("file as a parent", (), (file("a"), file("a/b")), ()),
    ("links in a circle", (), (symlink("a", "b"), symlink("b", "a"), file("a/x")), ()),
    (
        "links that double their way",
        (),
        (
            symlink("l0", "."),
            *(symlink(f"l{n}", f"l{n - 1}/" * 30 + ".") for n in range(1, 30)),
            file("l29/x"),
        ),
        (),
    ),
    (
        "file over a link to the host",
        (symlink("file", "HOST/file"),),
        (file("file", b"ours", mode=0o777),),
        (content("file", b"ours"),),
    ),
    (
        "pipe over a link to the host's",
        (symlink("pipe", "HOST/dev/pipe"),),
        (fifo("pipe", mode=0o777), file("pipe", b"ours")),
        (content("pipe", b"ours"),),
    ),
    (
        "a dead link as parent is made inside",
        (),
        (symlink("bin", "usr/bin"), file("bin/tool", b"x"), folder("usr/bin", 0o700)),
        (content("usr/bin/tool", b"x"), leads("bin", "usr/bin")),
    ),
    (
        "a folder that was a link to where others are",
        (folder("a"), folder("b"), symlink("l", "a"), file("l/1")),
        (file("l/2"), symlink("l", "b"), file("l/3"), folder("l"), file("l/4")),
        (missing("a/3"), missing("b/4"), content("a/2", b""), content("b/3", b"")),
    ),
    ("NUL in a name", (), (file("a\0b", b"x"),), (content("a", b"x"),)),
    ("a name too long", (), (file("n" * 256),), ()),
    ("folders too deep", (), (file("d/" * 300 + "x"),), ()),
    ("ids beyond what there is", (), (file("a", uid=1 << 32),), ()),
]

WHITEOUTS: list[Case] = [
    ("the root's parent", ETC, (file(".wh..."),), ()),
    ("the parent", ETC, (file("etc/.wh..."),), ()),
    ("the root", ETC, (file(".wh.."),), ()),
    ("the folder itself", ETC, (file("etc/.wh.."),), ()),
    ("nothing", ETC, (file(".wh."),), ()),
    ("nothing in a folder", ETC, (file("etc/.wh."),), ()),
    (
        "a link, not what it leads to",
        (*ETC, symlink("localetc", "/etc")),
        (file(".wh.localetc"),),
        (USERS, missing("localetc")),
    ),
    (
        "through a link as parent",
        (*ETC, file("/etc/gone", b"x"), symlink("localetc", "/etc")),
        (file("localetc/.wh.gone"),),
        (USERS, missing("etc/gone")),
    ),
    (
        "through a link to the host",
        (*ETC, symlink("out", "HOST/etc"), symlink("up", "../../..")),
        (file("out/.wh.passwd"), file("up/.wh.file"), file("up/up/.wh.etc/x", b"x")),
        (USERS, content(".wh.etc/x", b"x")),
    ),
    (
        "opaque through a link to the host",
        (*ETC, symlink("out", "HOST/etc"), symlink("up", "..")),
        (file("out/.wh..wh..opq"), file("up/.wh..wh..opq")),
        (missing("etc"),),
    ),
    (
        "a folder whose name looks like one",
        (*ETC, file("/etc/gone", b"x")),
        (file(".wh.etc/somefile", b"some"),),
        (USERS, content(".wh.etc/somefile", b"some")),
    ),
    (
        "through a dead link",
        (*ETC, symlink("localetc", "/dne")),
        (file("localetc/.wh.etc"),),
        (USERS, missing("dne")),
    ),
    (
        "behind a parent step",
        (*ETC, symlink("l", "/dne")),
        (file("dne/../.wh.etc"),),
        (missing("etc"),),
    ),
    ("what is not there", ETC, (file("a/b/.wh.c"), file("etc/.wh.x")), (USERS, missing("a"))),
    ("in a new folder", (), (file("n/x", b"x"), file("n/.wh.x")), (content("n/x", b"x"),)),
    ("below a file", ETC, (file("etc/passwd/.wh.x"),), ()),
    (
        "as a folder or a link: the name counts",
        (*ETC, file("a"), file("b")),
        (folder(".wh.a"), symlink(".wh.b", "etc")),
        (missing("a"), missing("b"), missing(".wh.a"), missing(".wh.b"), USERS),
    ),
    (
        "bookkeeping of AUFS",
        ETC,
        (file(".wh..wh.aufs"), folder(".wh..wh.plnk"), file(".wh..wh.plnk/1.2", b"x")),
        (missing(".wh..wh.aufs"), missing(".wh..wh.plnk"), USERS),
    ),
    (
        "what is made in the same layer stays",
        (file("d/low", b"low"), file("f", b"low")),
        (file("f", b"new"), file("d/new", b"new"), file(".wh.f"), file(".wh.d")),
        (content("f", b"new"), content("d/new", b"new"), missing("d/low")),
    ),
]


def holds(case: Case, folder_of_test: Path, *, rootless: bool) -> None:
    """Apply a case beside a host, which must look the same afterwards."""
    name, below, members, checks = case
    host, root = folder_of_test / "host", folder_of_test / "root"
    before = canary(host)
    layers = [layer(*(_here(one, host) for one in some)) for some in (below, members)]
    if checks:
        applied(root, *layers, rootless=rootless)
        assert [check(root) for check in checks] == [True] * len(checks), name
    else:
        with pytest.raises(LayerRefused):
            applied(root, *layers, rootless=rootless)
    assert tree(host, ctime=True) == before
    assert sorted(os.listdir(folder_of_test)) == ["host", "root"]


def _here(member: Member, host: Path) -> Member:
    """A member of the table, about a host that is here."""
    return replace(
        member,
        path=member.path.replace("HOST", str(host)),
        link=member.link.replace("HOST", str(host)),
    )
