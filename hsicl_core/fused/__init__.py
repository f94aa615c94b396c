"""Several trainings as one: members with their own weights, seed, rates, miner and loss share every kernel of a step.

**Source:** HFTA, Wang et al. 2021, arXiv 2102.02344: operators of equal shape of several models become one.
**Differs:** only what this training is made of is stacked; draws come from each member's own generator, so that its
batches, views and weights do not depend on who else is in the pack; members leave when they diverge or are stopped.
"""
