"""What a folder of results shows to people: Weights & Biases mirrors and workspaces, and pages served here.

The files of the runs stay the truth; everything in this package is made from them and can be made again.
"""
