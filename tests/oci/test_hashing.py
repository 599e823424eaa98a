"""A hash can be saved anywhere and resumed, and equals hashlib's."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kho.oci.hashing import (
    Hasher,
    PlainHasher,
    ResumableHasher,
    new_resumable_hasher,
    resume_hasher,
)

ALGORITHMS = ("sha256", "sha512")
BLOCK = {"sha256": 64, "sha512": 128}
SAMPLE = bytes(range(256)) * 4


def saved(hasher: Hasher) -> bytes:
    state = hasher.save()
    assert state is not None
    return state


def resumed(algorithm: str, state: bytes) -> Hasher:
    hasher = resume_hasher(algorithm, state)
    assert hasher is not None
    return hasher


def test_this_machine_can_save_hashes() -> None:
    # The tests below would prove nothing on a machine without the low-level API of libcrypto.
    assert all(
        isinstance(new_resumable_hasher(algorithm), ResumableHasher) for algorithm in ALGORITHMS
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_saved_and_resumed_at_every_offset_of_three_blocks(algorithm: str) -> None:
    expected = hashlib.new(algorithm, SAMPLE).hexdigest()
    for cut in range(3 * BLOCK[algorithm] + 1):
        first = new_resumable_hasher(algorithm)
        first.update(SAMPLE[:cut])
        second = resumed(algorithm, saved(first))
        second.update(SAMPLE[cut:])
        assert second.digest().hex == expected, cut


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(pieces=st.lists(st.binary(max_size=300), max_size=12))
def test_resumed_after_every_piece(algorithm: str, pieces: list[bytes]) -> None:
    hasher = new_resumable_hasher(algorithm)
    plain = hashlib.new(algorithm)
    for piece in pieces:
        hasher.update(piece)
        plain.update(piece)
        hasher = resumed(algorithm, saved(hasher))
        assert hasher.digest().hex == plain.hexdigest()
        assert hasher.digest().algorithm == algorithm


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_digest_does_not_end_the_hash(algorithm: str) -> None:
    hasher = new_resumable_hasher(algorithm)
    hasher.update(SAMPLE[:100])
    assert hasher.digest() == hasher.digest()
    hasher.update(SAMPLE[100:])
    assert hasher.digest().hex == hashlib.new(algorithm, SAMPLE).hexdigest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_hashes_from_one_state_are_independent(algorithm: str) -> None:
    first = new_resumable_hasher(algorithm)
    first.update(b"common")
    state = saved(first)
    left, right = resumed(algorithm, state), resumed(algorithm, state)
    left.update(b"left")
    right.update(b"right")
    assert left.digest().hex == hashlib.new(algorithm, b"commonleft").hexdigest()
    assert right.digest().hex == hashlib.new(algorithm, b"commonright").hexdigest()


def test_a_hash_longer_than_32_bits_of_bits_keeps_its_length() -> None:
    # The struct counts bits in two words: pass the first one (512 MiB) by way of a saved state.
    block = bytes(16 * 1024 * 1024)
    hasher, plain = new_resumable_hasher(), hashlib.sha256()
    for _ in range(33):
        hasher.update(block)
        plain.update(block)
    assert resumed("sha256", saved(hasher)).digest().hex == plain.hexdigest()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_every_kind_of_buffer_counts_the_same(kind: type) -> None:
    hasher = new_resumable_hasher()
    hasher.update(memoryview(kind(SAMPLE)))
    hasher.update(memoryview(kind(SAMPLE))[3:-5])
    assert hasher.digest().hex == hashlib.sha256(SAMPLE + SAMPLE[3:-5]).hexdigest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_state_of_another_layout_is_refused(algorithm: str) -> None:
    hasher = new_resumable_hasher(algorithm)
    hasher.update(SAMPLE)
    state = saved(hasher)
    other = "sha512" if algorithm == "sha256" else "sha256"
    assert resume_hasher(other, state) is None
    strange = [
        b"",
        state[:-1],
        state + b"\0",
        b"2" + state[1:],
        b"1|pdp11|" + state[-112:],
        b"\0" * 200,
    ]
    assert [resume_hasher(algorithm, one) for one in strange] == [None] * len(strange)
    assert resume_hasher(algorithm, None) is None


def test_the_fallback_hashes_alike_and_saves_nothing() -> None:
    for algorithm in ALGORITHMS:
        plain = PlainHasher(algorithm)
        plain.update(SAMPLE)
        plain.update(memoryview(SAMPLE))
        assert plain.digest().hex == hashlib.new(algorithm, SAMPLE * 2).hexdigest()
        plain.save()
        assert resume_hasher(algorithm, None) is None
