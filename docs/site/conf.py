"""Sphinx's settings for the site that `make docs` builds from build/docs/source."""

project = "tierline"
author = "tierline"
html_title = "tierline"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]
# Shortened JSON and the like in blocks is not coloured, which is no fault of a page.
suppress_warnings = ["misc.highlighting_failure"]
html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}
html_css_files = ["site.css"]
html_static_path = ["_static"]
