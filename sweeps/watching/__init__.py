"""What progress is made of: the facts about a run, and the views that show them."""
