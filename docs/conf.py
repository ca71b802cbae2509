"""Configuration of Sphinx: `python -m sphinx -W --keep-going -b html docs docs/_build/html`."""

import os
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two examples run in parallel

import results

import skemo

project = "skemo"
author = "the skemo developers"
version = release = skemo.__version__
project_copyright = author

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "code_links",
    "command_line",
    "docstrings",
    "mathml",
    "results",
]
exclude_patterns = ["_build", "_ext", "_templates", "examples", "**/*.codeobj.json"]
templates_path = ["_templates"]
default_role = "py:obj"
smartquotes = False
suppress_warnings = ["config.cache"]  # the gallery's sort key cannot be pickled
toc_object_entries = False
html_copy_source = False

# The site loads nothing from elsewhere: formulas are MathML, and the theme brings its own fonts and
# scripts.
html_theme = "pydata_sphinx_theme"
html_title = "skemo"
html_static_path = ["_static"]
html_css_files = ["skemo.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_favicon = "_static/mark.svg"
html_sidebars = {
    "index": [],
    "quickstart": [],
    "recipes/index": [],
}
html_theme_options = {
    "logo": {"text": "skemo", "image_light": "_static/mark.svg", "image_dark": "_static/mark.svg"},
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

myst_enable_extensions = ["substitution"]
myst_heading_anchors = 3
myst_substitutions = results.landing_numbers()

# The file names are in order of difficulty.
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "plot_gallery": "True",
    "min_reported_time": 1,
    "write_computation_times": False,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "image_srcset": ["2x"],
    "parallel": 2,
}
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")
