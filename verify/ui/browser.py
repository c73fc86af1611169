"""A folder's files to choose from."""

import os
from typing import Any


def browser(gradio: Any, root: str) -> Any:
    """Return Gradio's explorer of the files in a root, out of which no link leads, and without what is hidden."""
    from gradio.components.base import server

    explorer = gradio.FileExplorer(root_dir=root, file_count="single", label=root, max_height=320)
    listed = explorer.ls

    def ls(subdirectory: list[str] | None = None) -> list[dict[str, str]]:
        """Return what lies in a folder."""
        folder = os.path.realpath(explorer._safe_join(subdirectory or []))
        if folder != root and not folder.startswith(os.path.join(root, "")):
            return []
        return [entry for entry in listed(subdirectory) or [] if not entry["name"].startswith(".")]

    explorer.ls = server(ls)  # a class of our own would have Gradio write a stub of it beside this file
    return explorer
