"""The commands of `workbench sweep`."""
