"""`kho sync FILE` and `kho sync SRC DST`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kho.cli import exits, shown
from kho.cli.transfer import transferring
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.transfer import Transfer
    from kho.cli.wire import Wire
    from kho.client.syncing.file import Rule
    from kho.client.syncing.report import Report, Step

_WOULD = {"copied": "would copy", "pruned": "would prune"}


@click.command("sync")
@click.argument("source", metavar="FILE|SRC")
@click.argument("destination", metavar="[DST]", required=False)
@click.option("--tag", "tags", multiple=True, metavar="GLOB", help="Only such tags.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="But not such tags.")
@click.option("--platform", "platforms", multiple=True, metavar="OS/ARCH", help="Only these.")
@click.option("--referrers", is_flag=True, help="Signatures, SBOMs and what else refers, too.")
@click.option("--prune", is_flag=True, help="Delete tags of DST that SRC does not have.")
@click.option("--allow-empty", is_flag=True, help="Prune even where SRC has no tags at all.")
@click.option("--min-age", metavar="AGE", help="Leave images alone that are younger: 2h, 3d.")
@click.option("--dry-run", is_flag=True, help="Print what would be done; change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object at the end.")
@transferring
@wired
async def command(
    wire: "Wire",
    source: str,
    destination: str | None,
    *,
    transfer: "Transfer",
    dry_run: bool,
    as_json: bool,
    **options: Any,  # noqa: ANN401 - one for each field of a rule,
) -> None:
    """Copy the tags that are not the same at the other side, and go on after errors.

    SRC is a repository (all its tags), one with a glob of tags (ghcr.io/team/app:1.*), a glob of
    repositories (ghcr.io/team/**, by the registry's catalog), or a layout (oci:folder). FILE, whose
    name ends in .yaml, .yml, .json or .toml, lists several of these.
    """
    from kho.client.stores.journal import Journal, user_folder  # noqa: PLC0415
    from kho.client.syncing.file import read_rules  # noqa: PLC0415
    from kho.client.syncing.report import Action  # noqa: PLC0415
    from kho.client.syncing.sync import Sync  # noqa: PLC0415

    if destination is None:
        given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
        if given:
            exits.fail(f"with a FILE its entries say this: {', '.join(given)}", exits.USAGE)
        rules = read_rules(Path(source))
    else:
        rules = [_rule(source, destination, options)]

    def tell(step: "Step") -> None:
        if not as_json and step.action not in (Action.SAME, Action.FAILED):
            shown.line(_line(step, dry=dry_run))

    sync = Sync(
        wire.registry,
        Journal(user_folder()),
        jobs=transfer.jobs,
        dry=dry_run,
        told=transfer.told(silent=as_json),
        ended=tell,
    )
    report = await sync.run(rules)
    if as_json:
        shown.as_json({"dryRun": dry_run, **_value(report)})
    else:
        counts = [f"{len(report.of(one))} {one.value}" for one in Action if report.of(one)]
        shown.line(("would be: " if dry_run else "") + (", ".join(counts) or "nothing"))
    failed = report.of(Action.FAILED)
    for step in failed:
        shown.line(f"kho: {_line(step)}", err=True)
    if failed:
        raise SystemExit(exits.FAILED)


def _rule(source: str, destination: str, options: dict[str, Any]) -> "Rule":
    from kho.client.errors import Misused  # noqa: PLC0415
    from kho.client.syncing.file import Rule, age  # noqa: PLC0415
    from kho.oci.platform import Platform  # noqa: PLC0415

    try:
        least = age(options["min_age"]) if options["min_age"] else 0.0
    except ValueError as error:
        raise Misused(f"--min-age: {error}") from error
    return Rule(
        source,
        destination,
        options["tags"],
        options["exclude"],
        tuple(map(Platform.parse, options["platforms"])),
        options["referrers"],
        options["prune"],
        options["allow_empty"],
        least,
    )


def _line(step: "Step", *, dry: bool = False) -> str:
    """`copied host/a:1 to host/b:1`, or `would copy host/a:1 to host/b:1`."""
    word = _WOULD.get(step.action.value, step.action.value) if dry else step.action.value
    to = step.target if step.tag is None else f"{step.target}:{step.tag}"
    if step.action.value == "pruned":
        return f"{word} {to}"
    reason = f": {' '.join(step.reason.split())}" if step.reason else ""
    return f"{word} {step.source} to {to}{reason}"


def _value(report: "Report") -> dict[str, list[dict[str, str]]]:
    """The steps by what became of them."""
    from kho.client.syncing.report import Action  # noqa: PLC0415

    names = {"too young": "tooYoung"}
    return {
        names.get(action.value, action.value): [_fields(step) for step in report.of(action)]
        for action in Action
    }


def _fields(step: "Step") -> dict[str, str]:
    told = {"from": step.source, "to": step.target}
    if step.tag is not None:
        told["tag"] = step.tag
    if step.digest is not None:
        told["digest"] = str(step.digest)
    if step.reason:
        told["reason"] = step.reason
    return told
