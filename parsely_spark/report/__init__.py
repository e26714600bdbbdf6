"""The HTML report: queries, figures, page."""
