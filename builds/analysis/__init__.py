"""The measures of builds; docs/analysis.md defines each in words.

`scope` says which builds, `compute` runs one ordered pass and three aggregates over them, `work` does so in a worker.
"""
