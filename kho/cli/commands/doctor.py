"""`kho doctor HOST[/REPOSITORY]`."""

from typing import TYPE_CHECKING

import click

from kho.cli import exits, shown
from kho.cli.wire import wired

if TYPE_CHECKING:
    from kho.cli.wire import Wire
    from kho.client.diagnosis.findings import Finding

_COLOURS = {"ok": "green", "warn": "yellow", "FAIL": "red"}
# A sick server should not be waited for as long as a busy one.
_SILENCE = 10.0


@click.command("doctor")
@click.argument("host", metavar="HOST[/REPOSITORY]")
@click.option("--push", is_flag=True, help="Push, pull and delete a tiny image in REPOSITORY.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@wired
async def command(wire: "Wire", host: str, *, push: bool, as_json: bool) -> None:
    """Find out what is wrong between here and a registry, step by step.

    Name, connection, TLS, ping, clock, challenge, login, token; with a repository whether it can
    be read, and with --push whether it can be written. The exit code is that of the first failure.
    """
    from dataclasses import replace  # noqa: PLC0415

    from kho.client.diagnosis.doctor import Patient, examine  # noqa: PLC0415
    from kho.client.diagnosis.findings import Verdict  # noqa: PLC0415
    from kho.oci.reference import Reference, parse_host  # noqa: PLC0415
    from kho.remote.transport import Transport  # noqa: PLC0415

    name, _, path = host.removeprefix("https://").rstrip("/").partition("/")
    name = parse_host(name)
    repository = Reference.parse_bare(f"{name}/{path}").repository if path else None
    if push and repository is None:
        exits.fail("--push needs a repository: HOST/REPOSITORY", exits.USAGE)
    found = []
    async with Transport(silence=_SILENCE, attempts=2) as transport:
        registry = replace(wire, transport=transport).registry(name)
        login = await wire.keychain.locate(registry.name, repository)
        async for finding in examine(Patient(registry, transport, login, repository, push)):
            found.append(finding)
            if not as_json:
                _show(finding)
    if as_json:
        steps = [_told(finding) for finding in found]
        shown.as_json({"registry": registry.name, "repository": repository, "steps": steps})
    failed = next((one for one in found if one.verdict is Verdict.FAIL), None)
    if failed is not None:
        raise SystemExit(exits.code(failed.error) if failed.error is not None else exits.FAILED)


def _show(finding: "Finding") -> None:
    word = finding.verdict.value
    mark = click.style(f"{word:<5}", fg=_COLOURS[word])
    advice = f". {finding.advice[:1].upper()}{finding.advice[1:]}" if finding.advice else ""
    click.echo(mark + shown.printable(f"{finding.step}: {finding.told}{advice}"))


def _told(finding: "Finding") -> dict[str, object]:
    return {
        "step": finding.step,
        "verdict": finding.verdict.value.lower(),
        "told": finding.told,
        "advice": finding.advice,
    }
