"""A runtime bundle for `runc run`: config.json beside rootfs/ (runtime-spec; conversion.md)."""

import json
import os
from pathlib import Path
from typing import Any, Final

from kho.client.images.image import ImageConfig
from kho.client.unpacking.bundle_user import User, user_of
from kho.client.unpacking.rootfs import Rootfs

ROOTFS: Final = "rootfs"
HOSTNAME: Final = "kho"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELL: Final = "/bin/sh"
# What Docker and containerd give.
_CAPABILITIES: Final = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
_MASKED: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
_READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
# Destination, type, source, options.
_MOUNTS: Final = (
    ("/proc", "proc", "proc", "nosuid,noexec,nodev"),
    ("/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
    ("/dev/pts", "devpts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
    ("/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"),  # noqa: S108
    ("/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"),
    ("/sys", "sysfs", "sysfs", "nosuid,noexec,nodev,ro"),
    ("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"),
)
# A new sysfs needs a network of its own, and its root; theirs is shown instead.
_ROOTLESS_SYS: Final = ("/sys", "none", "/sys", "rbind,nosuid,noexec,nodev,ro")
_NOT_ROOTLESS: Final = frozenset({"/sys", "/sys/fs/cgroup"})
_ANNOTATION: Final = "org.opencontainers.image."


def write_bundle(folder: Path, rootfs: Rootfs, config: ImageConfig, *, rootless: bool) -> None:
    """Write config.json into a bundle's folder; ClientError where its user is not in the image."""
    user = User(0, 0, (), "/root") if rootless else user_of(config.user, rootfs)
    text = json.dumps(runtime_spec(config, user, rootless=rootless), indent=2) + "\n"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(folder / "config.json", flags, 0o644), "w", encoding="utf-8") as file:
        file.write(text)


def runtime_spec(config: ImageConfig, user: User, *, rootless: bool) -> dict[str, Any]:
    """What the image says, and what Docker and containerd do where it says nothing.

    Rootless, there is one id alone: the process is root of its own user namespace, and us outside.
    """
    held = {"bounding": _CAPABILITIES, "effective": _CAPABILITIES, "permitted": _CAPABILITIES}
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": _user(user),
            "args": [*config.entrypoint, *config.command] or [_SHELL],
            "env": _environment(config, user),
            "cwd": "/" + config.working_dir.lstrip("/"),
            "capabilities": held,
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": ROOTFS, "readonly": False},
        "hostname": HOSTNAME,
        "mounts": _mounts(rootless=rootless),
        "annotations": _annotations(config),
        "linux": _linux(rootless=rootless),
    }


def _user(user: User) -> dict[str, Any]:
    found: dict[str, Any] = {"uid": user.uid, "gid": user.gid}
    if user.additional:
        found["additionalGids"] = list(user.additional)
    return found


def _environment(config: ImageConfig, user: User) -> list[str]:
    variables: dict[str, str] = {}
    for one in config.env:
        name, equals, value = one.partition("=")
        if name and equals and "\0" not in one:
            variables[name] = value
    defaults = {"PATH": _PATH, "TERM": "xterm", "HOSTNAME": HOSTNAME, "HOME": user.home}
    return [f"{name}={value}" for name, value in (variables | defaults | variables).items()]


def _mounts(*, rootless: bool) -> list[dict[str, Any]]:
    mounts = [one for one in _MOUNTS if not rootless or one[0] not in _NOT_ROOTLESS]
    if rootless:
        mounts.append(_ROOTLESS_SYS)
    return [
        {
            "destination": destination,
            "type": kind,
            "source": source,
            # There is no group 5 among one.
            "options": [
                one for one in options.split(",") if not rootless or not one.startswith("gid=")
            ],
        }
        for destination, kind, source, options in mounts
    ]


def _linux(*, rootless: bool) -> dict[str, Any]:
    kinds = ["pid", "ipc", "uts", "mount", *(["user"] if rootless else ["network", "cgroup"])]
    found: dict[str, Any] = {
        "namespaces": [{"type": kind} for kind in kinds],
        "maskedPaths": _MASKED,
        "readonlyPaths": _READ_ONLY,
    }
    if rootless:
        found["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
        found["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
    else:
        found["resources"] = {"devices": [{"allow": False, "access": "rwm"}]}
    return found


def _annotations(config: ImageConfig) -> dict[str, str]:
    """Labels go over what the config says, as conversion.md wants it."""
    told = {
        "os": config.platform.os,
        "architecture": config.platform.architecture,
        "author": config.author,
        "created": config.created,
        "stopSignal": config.stop_signal,
        "exposedPorts": ",".join(sorted(config.exposed_ports)),
    }
    return {_ANNOTATION + name: text for name, text in told.items() if text} | config.labels
