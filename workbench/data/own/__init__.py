"""A user's own sequences: reading their files, telling what is to be answered, splitting, scaling and cutting them."""
