"""Keep repositories like others: what differs is copied, what is gone can be pruned.

rule ─► pairs ─► tags of the source ─► HEAD there, HEAD here ─► same: nothing more
                    │                       └► else the digest that was read is copied
                    └► prune: tags of the target that the complete list does not have

What fails is told in the report, and the rest goes on.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kho.client.errors import ClientError, Misused
from kho.client.progress import SILENT, Progress
from kho.client.stores.copy import PARALLEL, Copier
from kho.client.stores.journal import Journal
from kho.client.stores.store import ContentMissing
from kho.client.syncing.choice import born, find, narrowed
from kho.client.syncing.file import Rule
from kho.client.syncing.plan import Pair, Store, check, literal, pairs, selects
from kho.client.syncing.prune import is_fallback, remove
from kho.client.syncing.report import Action, Report, Step
from kho.oci.digest import Digest, parse_digest
from kho.oci.errors import RegistryError
from kho.remote.errors import NotFound, RemoteError
from kho.remote.manifests import Manifest
from kho.remote.registry import Registry

_TOLD = (RemoteError, ClientError, RegistryError, OSError)


def _tell_nobody(_: Step) -> None:
    return


@dataclass
class Sync:
    """One run: registries by name, so much at a time; with `dry` nothing is changed."""

    registry: Callable[[str], Registry]
    journal: Journal | None = None
    jobs: int = PARALLEL
    dry: bool = False
    told: Progress = SILENT
    ended: Callable[[Step], None] = _tell_nobody
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _steps: list[Step] = field(default_factory=list, init=False)
    _registries: dict[str, Registry] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._layers = asyncio.Semaphore(self.jobs)
        self._repositories = asyncio.Semaphore(self.jobs)
        self._questions = asyncio.Semaphore(2 * self.jobs)

    async def run(self, rules: Iterable[Rule]) -> Report:
        """Rule by rule, the repositories of each beside each other; raise what `check` raises."""
        rules = list(rules)
        for rule in rules:
            check(rule)
        for rule in rules:
            async with asyncio.TaskGroup() as group:
                try:
                    async for pair in pairs(rule, self._known, self.journal):
                        await self._repositories.acquire()
                        group.create_task(self._pair(pair))
                except _TOLD as error:
                    self._end(Step(Action.FAILED, rule.origin, rule.aim, reason=str(error)))
        return Report(self._steps)

    def _known(self, name: str) -> Registry:
        """One Registry for each name: greeted once, its tokens shared."""
        if name not in self._registries:
            self._registries[name] = self.registry(name)
        return self._registries[name]

    def _end(self, step: Step) -> None:
        self._steps.append(step)
        self.ended(step)

    async def _pair(self, pair: Pair) -> None:
        try:
            await self._repository(pair)
        except _TOLD as error:
            step = Step(Action.FAILED, pair.source.name, pair.target.name, reason=str(error))
            self._end(step)
        finally:
            self._repositories.release()

    async def _repository(self, pair: Pair) -> None:
        """Compare many tags at a time, copy one after the other: they share layers."""
        listed = await _list(pair)
        wanted = [tag for tag in listed if selects(pair.rule, tag)]
        if literal(pair.rule):  # a tag that is named and not there is told
            wanted = [tag for tag in dict.fromkeys(pair.rule.include) if selects(pair.rule, tag)]
        found: dict[str, Digest | None] = {}

        async def compare(tag: str) -> None:
            async with self._questions:
                found[tag] = await self._compare(pair, tag)

        await _all(self._guarded(pair, tag, compare(tag)) for tag in wanted)
        for tag in wanted:
            digest = found.get(tag)
            if digest is not None:
                await self._guarded(pair, tag, self._copy(pair, tag, digest))
        if pair.rule.prune:
            await self._prune(pair, listed)

    async def _guarded(self, pair: Pair, tag: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except _TOLD as error:
            self._tag_ended(pair, tag, Action.FAILED, reason=str(error))

    def _tag_ended(
        self,
        pair: Pair,
        tag: str,
        action: Action,
        digest: Digest | None = None,
        reason: str = "",
    ) -> None:
        aim = pair.rename or tag
        self._end(Step(action, f"{pair.source.name}:{tag}", pair.target.name, aim, digest, reason))

    async def _compare(self, pair: Pair, tag: str) -> Digest | None:
        """The source's digest where something is to be done; what is the same ends here."""
        digest = await find(pair.source, tag)
        if digest is None:
            raise ContentMissing(f"{pair.source.name} has no {tag}, or not for this login")
        wanted = digest
        if pair.rule.platforms:
            wanted = (await self._manifest(pair, digest)).digest
        if await find(pair.target, pair.rename or tag) != wanted:
            return digest
        if pair.rule.referrers and await self._missing_referrers(pair, wanted):
            return digest
        self._tag_ended(pair, tag, Action.SAME, wanted)
        return None

    async def _missing_referrers(self, pair: Pair, digest: Digest) -> set[Digest]:
        """Those that the target does not list: one request to each side."""
        here, there = await asyncio.gather(
            pair.source.referrers(digest), pair.target.referrers(digest)
        )
        texts = {str(one.get("digest")) for one in here} - {str(one.get("digest")) for one in there}
        return {parse_digest(text) for text in texts}

    async def _manifest(self, pair: Pair, digest: Digest) -> Manifest:
        whole = await pair.source.manifest(str(digest))
        return await narrowed(pair.source, whole, pair.rule.platforms)

    async def _copy(self, pair: Pair, tag: str, digest: Digest) -> None:
        """What was read is copied, by digest; a tag that moved meanwhile is read once more."""
        try:
            manifest = await self._manifest(pair, digest)
        except (NotFound, ContentMissing):
            again = await find(pair.source, tag)
            if again is None or again == digest:
                raise
            manifest = await self._manifest(pair, again)
        if await self._is_young(pair, manifest):
            self._tag_ended(pair, tag, Action.YOUNG, manifest.digest)
            return
        if not self.dry:
            copier = Copier(
                pair.source,
                pair.target,
                referrers=pair.rule.referrers,
                told=self.told,
                places=self._layers,
            )
            await copier.copy_manifest(manifest, [pair.rename or tag])
        self._tag_ended(pair, tag, Action.COPIED, manifest.digest)

    async def _is_young(self, pair: Pair, manifest: Manifest) -> bool:
        if not pair.rule.min_age:
            return False
        birth = await born(pair.source, manifest)
        return birth is not None and (self.now() - birth).total_seconds() < pair.rule.min_age

    async def _prune(self, pair: Pair, listed: list[str]) -> None:
        """Delete what the rule is about and the source does not have."""
        if not listed and not pair.rule.allow_empty:
            raise Misused(
                f"{pair.source.name} has no tags: {pair.target.name} is not pruned"
                " (--allow-empty, or allow_empty: true, prunes all)"
            )
        there = await _tags(pair.target)
        gone = [
            tag
            for tag in there
            if selects(pair.rule, tag) and tag not in set(listed) and not is_fallback(tag)
        ]
        kept = [tag for tag in there if tag not in set(gone)]
        for tag in gone:
            await self._guarded(pair, tag, self._remove(pair, tag, kept))

    async def _remove(self, pair: Pair, tag: str, kept: list[str]) -> None:
        if not self.dry:
            await remove(pair.target, tag, kept)
        self._tag_ended(pair, tag, Action.PRUNED)


async def _list(pair: Pair) -> list[str]:
    """Every tag of the source; where a rule names its tags, and prunes nothing, just those."""
    if literal(pair.rule) and not pair.rule.prune:
        return list(dict.fromkeys(pair.rule.include))
    return [tag async for tag in pair.source.tags()]


async def _tags(target: Store) -> list[str]:
    try:
        return [tag async for tag in target.tags()]
    except NotFound:
        return []


async def _all(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)
