"""Why a layer is not read further."""


class LayerRefused(Exception):
    """A layer that breaks its format or a limit; one line that names the entry and the rule."""
