"""Figures: learning curves, panels of lines and heat maps, in the report's style."""
