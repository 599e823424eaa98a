"""What pages say, in other languages: Babel's catalogues, read where they are, not compiled."""

from functools import cache
from gettext import NullTranslations
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "locale"


@cache
def translations(language: str) -> NullTranslations:
    """The catalogue; English is what the templates say."""
    path = FOLDER / language / "LC_MESSAGES" / "kho.po"
    if not path.exists():
        return NullTranslations()
    from io import BytesIO  # noqa: PLC0415

    from babel.messages.mofile import write_mo  # noqa: PLC0415
    from babel.messages.pofile import read_po  # noqa: PLC0415
    from babel.support import Translations  # noqa: PLC0415

    with path.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return Translations(compiled)
