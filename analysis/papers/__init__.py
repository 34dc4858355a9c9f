"""The papers' tables, measured: presets of their settings, their figures beside ours, and a page for each."""
