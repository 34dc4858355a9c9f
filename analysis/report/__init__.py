"""Report of a comparison: one module for each chapter, and the files that hold them (HTML, CSV, figures, LaTeX)."""
