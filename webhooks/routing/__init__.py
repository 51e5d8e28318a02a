"""How the events of a webhook's subscription reach it: which pass, alone or in digests, in which order, and for how long."""
