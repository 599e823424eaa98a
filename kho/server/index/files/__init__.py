"""Files inside layers: what a layer has, what an image looks like, what differs between two.

    stack.py     the layers of an image, as far as this repository has them and they are listed
    levels.py    rows of one directory, in all layers at once, a window of names after another
    squash.py    one directory of layers on top of each other
    walk.py      all directories of one stack, or of two side by side
    browse, find, search, changes, waste    what pages and the API ask for

Nothing here reads a layer: the bytes of a file are in `kho/server/registry/members.py`.
"""
