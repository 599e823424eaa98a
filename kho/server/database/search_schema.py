"""Tables of the search: what is known of a repository as text, and the words of it.

search_documents   hits are explained from it; what did not change is not worked out again
search_words       each word once, with the best field that it stands in; looked up
                     by (repository_id, word)          has this repository the word?
                     by (field, word, repository_id)   who has a word that begins so?
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
