"""Errors in the language of a page."""

import pytest

from kho.oci.errors import NameInvalid, Worded, Words
from kho.oci.reference import parse_name
from kho.server.index.errors import Conflict, Invalid
from kho.server.index.people.names import ROBOT, check_name
from kho.server.policy.errors import Disallowed
from kho.server.policy.patterns import compiled
from kho.server.web.ui import catalogues
from kho.server.web.ui.wording import begins_with_a_value, in_words

VIETNAMESE = catalogues.translations("vi").gettext
ENGLISH = catalogues.translations("en").gettext


def refusal(error: type[Worded], work: object) -> Worded:
    assert callable(work)
    with pytest.raises(error) as found:
        work()
    return found.value


@pytest.mark.parametrize(
    "error, vietnamese",
    [
        (Conflict("there is a group %(name)s already", name="web"), "đã có nhóm web"),
        (Invalid("the old password is wrong"), "mật khẩu cũ không đúng"),
        (Invalid("nobody has translated this"), "nobody has translated this"),
        (Invalid(""), ""),
    ],
)
def test_pages_say_it_in_their_language(error: Worded, vietnamese: str) -> None:
    assert in_words(error, VIETNAMESE) == vietnamese
    assert in_words(error, ENGLISH) == str(error)


def test_errors_inside_errors_and_words_are_translated_too() -> None:
    inner = refusal(NameInvalid, lambda: parse_name("A"))
    outer = Invalid("%(name)s is %(wrong)s", name="A", wrong=inner)
    assert str(outer).startswith("A is not a repository name: lower-case letters")
    assert in_words(outer, VIETNAMESE).startswith("A: không phải là tên kho ảnh: chữ thường")
    robot = refusal(Invalid, lambda: check_name("A", ROBOT))
    assert str(robot).startswith("'A' cannot name a robot; allowed are 1 to 128 small letters")
    assert "không thể đặt làm tên robot; cho phép từ 1 đến" in in_words(robot, VIETNAMESE)
    glob = refusal(Disallowed, lambda: compiled("A b"))
    assert isinstance(glob, ValueError)
    assert "tên kho ảnh, trong đó *" in in_words(glob, VIETNAMESE)


@pytest.mark.parametrize("typed", ["%(name)s", "%s", "100%", "%(other)s%n", "role"])
def test_what_was_typed_is_no_template(typed: str) -> None:
    error = Conflict("there is a group %(name)s already", name=typed)
    assert str(error) == f"there is a group {typed} already"
    assert in_words(error, VIETNAMESE) == f"đã có nhóm {typed}"
    assert in_words(typed, VIETNAMESE) == typed
    assert in_words(Words("role"), VIETNAMESE) == "vai trò"


def test_names_at_the_beginning_keep_their_letters() -> None:
    built_in = Invalid("%(name)s is a built-in role and stays", name="reader")
    assert begins_with_a_value(built_in, VIETNAMESE)
    assert begins_with_a_value(built_in, ENGLISH)
    assert not begins_with_a_value(Invalid("the old password is wrong"), ENGLISH)
    assert not begins_with_a_value(Invalid(""), VIETNAMESE)
    assert not begins_with_a_value("%", ENGLISH)
