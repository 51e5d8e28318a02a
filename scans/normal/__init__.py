"""The normal form of findings: one vocabulary for what every scanner says in its own words."""
