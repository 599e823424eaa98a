"""Rules about blobs: pushed whole and in chunks, resumed, cancelled, mounted, deleted."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from kho.oci.digest import Digest
from tests.flows.client import Answer, pieces
from tests.model.dictionaries import REPOSITORIES, Repository, Session, Upload, User
from tests.model.machine import (
    CONTENTS,
    Machine,
    contents,
    people,
    picked,
    picks,
    repositories,
    said,
    workers,
)

# Two bytes at least: an offset of one byte looks like none in Range.
chunks = st.sampled_from((b"ab", b"chunk", b"\x00" * 300))
algorithms = st.sampled_from(("sha256", "sha256", "sha512"))
seldom = st.sampled_from((False, False, False, True))
UNKNOWN = "0" * 8 + "-0000-4000-8000-" + "0" * 12


def has_sessions(machine: Machine) -> bool:
    """Whether there is one to go on with."""
    return bool(machine.model.uploads)


class Blobs(Machine):
    """Blobs and upload sessions."""

    @rule(
        who=people,
        worker=workers,
        repository=repositories,
        content=contents,
        kind=algorithms,
        wrong=seldom,
    )
    def push_whole(
        self, who: int, worker: int, repository: str, content: bytes, kind: str, wrong: bool
    ) -> None:
        user = self.people[who]
        digest = Digest.of(content + b"x" if wrong else content, kind)
        target = f"/v2/{repository}/blobs/uploads/?digest={digest}"
        answer = self.ask(worker, user, "POST", target, content)
        if self.refused(answer, user, "push", repository):
            return
        if wrong:
            assert said(answer) == (400, ["DIGEST_INVALID"]), answer
            return
        assert (answer.status, answer["Docker-Content-Digest"]) == (201, str(digest)), answer
        self.model.add_blob(repository, content, kind)

    @rule(who=people, worker=workers, repository=repositories)
    def open_session(self, who: int, worker: int, repository: str) -> None:
        user = self.people[who]
        answer = self.ask(worker, user, "POST", f"/v2/{repository}/blobs/uploads/")
        if not self.refused(answer, user, "push", repository):
            self.opened(answer, user, repository)

    @initialize(chosen=st.lists(repositories, max_size=2))
    def begin_with_sessions(self, chosen: list[str]) -> None:
        for repository in chosen:
            for who in range(len(self.people)):
                self.open_session(who, 0, repository)

    def opened(self, answer: Answer, user: User, repository: str) -> None:
        assert (answer.status, answer["Range"]) == (202, "0-0"), answer
        upload = answer["Location"].rpartition("/")[2]
        assert answer["Location"] == f"/v2/{repository}/blobs/uploads/{upload}"
        assert (repository, upload) not in self.model.uploads
        self.model.uploads[repository, upload] = Upload(user)

    def session(self, pick: int) -> tuple[Session, Upload, str]:
        found = picked(list(self.model.uploads.items()), pick)
        assert found is not None
        (repository, upload), state = found
        self.touched = repository
        return (repository, upload), state, f"/v2/{repository}/blobs/uploads/{upload}"

    @precondition(has_sessions)
    @rule(worker=workers, pick=picks, chunk=chunks, announced=st.sampled_from(("", "range", "te")))
    def append(self, worker: int, pick: int, chunk: bytes, announced: str) -> None:
        _, state, target = self.session(pick)
        start = len(state.content)
        headers = [("Content-Range", f"{start}-{start + len(chunk) - 1}")]
        body = pieces(chunk, 4) if announced == "te" else chunk
        fields = headers if announced == "range" else []
        answer = self.ask(worker, state.owner, "PATCH", target, body, *fields)
        state.content += chunk
        assert (answer.status, answer["Range"]) == (202, state.shown), answer

    @precondition(has_sessions)
    @rule(worker=workers, pick=picks, chunk=chunks, off=st.sampled_from((-2, -1, 1, 7, 10**12)))
    def append_out_of_order(self, worker: int, pick: int, chunk: bytes, off: int) -> None:
        _, state, target = self.session(pick)
        if len(state.content) + off < 0:
            return
        start = len(state.content) + off
        said = "Content-Range", f"{start}-{start + len(chunk) - 1}"
        answer = self.ask(worker, state.owner, "PATCH", target, chunk, said)
        assert (answer.status, answer["Range"]) == (416, state.shown), answer
        assert answer["Location"] == target

    @precondition(has_sessions)
    @rule(worker=workers, pick=picks, chunk=chunks, taken=st.integers(1, 3), ranged=st.booleans())
    def append_and_leave(
        self, worker: int, pick: int, chunk: bytes, taken: int, ranged: bool
    ) -> None:
        """I7: what came of a body that was cut is kept, and the offset says so."""
        _, state, target = self.session(pick)
        start, whole = len(state.content), chunk * 4
        headers = [("Content-Length", str(len(whole)))]
        if ranged:
            headers.append(("Content-Range", f"{start}-{start + len(whole) - 1}"))
        self.run(self.cut(worker, state.owner, target, [chunk] * taken, headers))
        state.content += chunk * taken
        self.check_status(worker, state, target)

    @precondition(has_sessions)
    @rule(worker=workers, other=workers, pick=picks, chunk=chunks, taken=st.integers(0, 3))
    def crash_while_appending(
        self, worker: int, other: int, pick: int, chunk: bytes, taken: int
    ) -> None:
        """I7: never less than what was acknowledged, never what was not sent."""
        _, state, target = self.session(pick)
        self.run(self.die_while_writing(worker, state.owner, target, [chunk] * taken))
        answer = self.ask(other, state.owner, "GET", target)
        assert answer.status == 204, answer
        last = int(answer["Range"].removeprefix("0-"))
        size = last + 1 if last else 0
        sent = state.content + chunk * taken
        assert len(state.content) <= size <= len(sent)
        state.content = sent[:size]

    def check_status(self, worker: int, state: Upload, target: str) -> None:
        answer = self.ask(worker, state.owner, "GET", target)
        assert (answer.status, answer["Range"]) == (204, state.shown), answer

    @precondition(has_sessions)
    @rule(who=people, worker=workers, pick=picks)
    def status(self, who: int, worker: int, pick: int) -> None:
        (repository, _), state, target = self.session(pick)
        user = self.people[who]
        answer = self.ask(worker, user, "GET", target)
        if self.refused(answer, user, "push", repository):
            return
        if user.name != state.owner.name:
            assert said(answer) == (404, ["BLOB_UPLOAD_UNKNOWN"]), answer
            return
        assert (answer.status, answer["Range"]) == (204, state.shown), answer

    @precondition(has_sessions)
    @rule(worker=workers, pick=picks, tail=st.sampled_from((b"", b"tail")), wrong=seldom)
    def finish(self, worker: int, pick: int, tail: bytes, wrong: bool) -> None:
        (repository, upload), state, target = self.session(pick)
        whole = state.content + tail
        digest = Digest.of(whole + b"x" if wrong else whole)
        answer = self.ask(worker, state.owner, "PUT", f"{target}?digest={digest}", tail)
        del self.model.uploads[repository, upload]
        if wrong:
            assert said(answer) == (400, ["DIGEST_INVALID"]), answer
        else:
            assert (answer.status, answer["Docker-Content-Digest"]) == (201, str(digest)), answer
            self.model.add_blob(repository, whole)
        gone = self.ask(worker, state.owner, "GET", target)
        assert said(gone) == (404, ["BLOB_UPLOAD_UNKNOWN"]), gone

    @precondition(has_sessions)
    @rule(who=people, worker=workers, pick=picks)
    def cancel(self, who: int, worker: int, pick: int) -> None:
        (repository, upload), state, target = self.session(pick)
        user = self.people[who]
        answer = self.ask(worker, user, "DELETE", target)
        if self.refused(answer, user, "push", repository):
            return
        if user.name != state.owner.name:
            assert answer.status == 404, answer
            return
        assert answer.status == 204, answer
        del self.model.uploads[repository, upload]

    @rule(
        worker=workers,
        elsewhere=repositories,
        pick=picks,
        method=st.sampled_from(("GET", "PATCH", "PUT", "DELETE")),
    )
    def use_a_session_elsewhere(self, worker: int, elsewhere: str, pick: int, method: str) -> None:
        """A session is known in its own repository only; one that never was, nowhere."""
        found = picked([upload for name, upload in self.model.uploads if name != elsewhere], pick)
        user = next(one for one in self.people if one.may("push", elsewhere))
        target = f"/v2/{elsewhere}/blobs/uploads/{found or UNKNOWN}?digest={Digest.of(b'')}"
        answer = self.ask(worker, user, method, target, b"")
        assert said(answer) == (404, ["BLOB_UPLOAD_UNKNOWN"]), answer

    @rule(
        who=people,
        worker=workers,
        repository=repositories,
        source=st.sampled_from((*REPOSITORIES, "never/was", None)),
        pick=picks,
    )
    def mount(self, who: int, worker: int, repository: str, source: str | None, pick: int) -> None:
        """From where the user may pull and the blob is; all else opens a session."""
        user, there = self.people[who], self.model.repositories.get(source or "", Repository())
        known = there.blobs if source else self.model.stored
        digest = picked(sorted(known), pick) or str(Digest.of(b"never"))
        target = f"/v2/{repository}/blobs/uploads/?mount={digest}"
        answer = self.ask(worker, user, "POST", target + (f"&from={source}" if source else ""))
        if self.refused(answer, user, "push", repository):
            return
        if digest in known and (user.may("pull", source) if source else user.sees_all):
            assert (answer.status, answer["Docker-Content-Digest"]) == (201, digest), answer
            self.model.add_blob(repository, known[digest], digest.partition(":")[0])
        else:
            self.opened(answer, user, repository)

    @rule(who=people, worker=workers, repository=repositories, pick=picks)
    def delete_blob(self, who: int, worker: int, repository: str, pick: int) -> None:
        """Gone from this repository; manifests that list it stay."""
        user = self.people[who]
        known = sorted(self.model.repositories[repository].blobs)
        digest = picked(known, pick) or str(Digest.of(b"{}"))
        answer = self.ask(worker, user, "DELETE", f"/v2/{repository}/blobs/{digest}")
        if self.refused(answer, user, "delete", repository):
            return
        was = self.model.repositories[repository].blobs.pop(digest, None)
        assert answer.status == (404 if was is None else 202), answer

    @rule(
        worker=workers,
        repository=repositories,
        content=contents,
        first=st.sampled_from((0, 1, 5, 1399, 1400, 10**18)),
        length=st.sampled_from((1, 2, 2000, None)),
    )
    def range_of_blob(
        self, worker: int, repository: str, content: bytes, first: int, length: int | None
    ) -> None:
        user = next(one for one in self.people if one.may("pull", repository))
        digest = str(Digest.of(content))
        here = self.model.repositories[repository]
        last = "" if length is None else first + length - 1
        target = f"/v2/{repository}/blobs/{digest}"
        answer = self.ask(worker, user, "GET", target, None, ("Range", f"bytes={first}-{last}"))
        if digest not in here.blobs:
            assert answer.status == 404, answer
        elif first >= len(content):
            assert (answer.status, answer["Content-Range"]) == (416, f"bytes */{len(content)}")
        else:
            part = content[first:] if length is None else content[first : first + length]
            said = f"bytes {first}-{first + len(part) - 1}/{len(content)}"
            assert (answer.status, answer["Content-Range"]) == (206, said), answer
            assert answer.body == part

    @rule(who=people, worker=workers, repository=repositories, content=st.sampled_from(CONTENTS))
    def head_of_blob(self, who: int, worker: int, repository: str, content: bytes) -> None:
        user = self.people[who]
        target = f"/v2/{repository}/blobs/{Digest.of(content)}"
        answer = self.ask(worker, user, "HEAD", target)
        here = self.model.repositories[repository]
        if not user.may("pull", repository):
            assert answer.status == 403
        elif str(Digest.of(content)) in here.blobs:
            assert (answer.status, answer["Content-Length"]) == (200, str(len(content)))
        else:
            assert answer.status == 404
