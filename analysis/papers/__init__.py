"""Reproduction of the papers' tables: presets of their settings, and pages of published and measured figures."""
