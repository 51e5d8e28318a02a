"""Inventories: which packages a repository uses, as its lock files and SBOMs say. What is asked about at sources that know no code."""
