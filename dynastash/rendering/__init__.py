"""Files made of templates and secrets: plain ones (:mod:`dynastash.template`), and Jinja2's."""
