"""The report: one chapter a file, written as one HTML page, CSV tables, figures and LaTeX."""
