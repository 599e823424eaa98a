"""What errors say, in the language of a page: the catalogue has the template of each Worded.

raise Conflict("there is a group %(name)s already", name=name)
├─► API, clients, khod: str(error)              there is a group web already
└─► pages: {{ problem.text|worded }}            đã có nhóm web
"""

from collections.abc import Callable

from markupsafe import Markup

from kho.oci.errors import Worded, Words


def in_words(said: object, gettext: Callable[[str], str]) -> str:
    """The text of an error or of a value in it; what is neither Worded nor Words stays as it is."""
    if isinstance(said, Worded):
        text = gettext(said.template) if said.template else ""
        values = {key: in_words(value, gettext) for key, value in said.values.items()}
        return text % values if values else text
    return gettext(said) if isinstance(said, Words) and said else str(said)


def begins_with_a_value(said: object, gettext: Callable[[str], str]) -> bool:
    """Whether the text begins with a name or the like, which is written as it is given."""
    template = said.template if isinstance(said, Worded) else ""
    return bool(template) and gettext(template).startswith("%")


def in_english(text: object) -> Markup:
    """What is wrong with a layer, as the process that reads it has told; marked for readers."""
    return Markup('<span lang="en">{}</span>').format(text)
