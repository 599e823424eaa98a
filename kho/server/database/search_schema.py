"""Tables of the search.

search_documents   what is known of a repository, as text: hits are explained from it
search_words       the words of it, each once, with the best place it stands in

    by repository: repository_id, word            does this repository have the word?
    by word:       field, word, repository_id     who has a word that begins so?
"""

from sqlalchemy import Column, Index, Integer, Table, Text

from kho.server.database.columns import BY_KEY, STRICT, metadata, repository, required

search_documents = Table(
    "search_documents",
    metadata,
    repository(primary_key=True),
    Column("source", Text, nullable=False),  # JSON: search_document.Source
    **STRICT,
)

search_words = Table(
    "search_words",
    metadata,
    repository(primary_key=True),
    required("word", key=True),
    Column("field", Integer, nullable=False),  # search_document.Field
    Index(None, "field", "word", "repository_id"),
    **BY_KEY,
)
